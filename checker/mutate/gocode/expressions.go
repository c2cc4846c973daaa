// SPDX-License-Identifier: Apache-2.0

package gocode

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"strings"
)

// swaps are the operators of which a bound is moved, or the other taken; each has a
// function in the helper file. Those with a swapped order of their sides say so.
var swaps = map[token.Token]struct {
	name, function, is string
	mirrored           bool
}{
	token.LSS:  {"move-bound", "mutantLess", "<=", false},
	token.LEQ:  {"move-bound", "mutantLessOrEqual", "<", false},
	token.GTR:  {"move-bound", "mutantLess", ">=", true},
	token.GEQ:  {"move-bound", "mutantLessOrEqual", ">", true},
	token.LAND: {"swap-logic", "mutantAnd", "||", false},
	token.LOR:  {"swap-logic", "mutantOr", "&&", false},
	token.ADD:  {"swap-arithmetic", "mutantAdd", "-", false},
	token.SUB:  {"swap-arithmetic", "mutantSub", "+", false},
}

// expression returns what puts the mutants of an expression in.
func (w *writer) expression(e ast.Expr) func(ast.Node) ast.Node {
	info := w.pkg.TypesInfo.Types[e]
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.INT {
			return w.literal(e, info.Type)
		}
	case *ast.BinaryExpr:
		if info.Value != nil {
			return nil // A constant must stay one.
		}
		return w.binary(e, info.Type)
	case *ast.UnaryExpr:
		// Of what is a call or a comparison there is a mutant already.
		if _, is := ast.Unparen(e.X).(*ast.SelectorExpr); e.Op == token.NOT && is {
			return w.negated(e)
		}
	case *ast.CallExpr:
		if t, is := info.Type.(*types.Basic); is && t.Info()&types.IsBoolean != 0 && info.Value == nil {
			return w.negated(e)
		}
	}
	return nil
}

// negated has a mutant that is the opposite.
func (w *writer) negated(e ast.Expr) func(ast.Node) ast.Node {
	number := w.add("negate", e, "its opposite")
	return func(n ast.Node) ast.Node { return call("mutantNot", number, n.(ast.Expr)) }
}

func (w *writer) binary(e *ast.BinaryExpr, t types.Type) func(ast.Node) ast.Node {
	switch e.Op {
	case token.EQL, token.NEQ:
		return w.negated(e)
	}
	swap, ok := swaps[e.Op]
	if !ok {
		return nil
	}
	logic := e.Op == token.LAND || e.Op == token.LOR
	var as ast.Expr
	if !logic {
		operands := w.pkg.TypesInfo.TypeOf(e.X)
		if basic, is := operands.(*types.Basic); is && basic.Info()&types.IsUntyped != 0 {
			operands = w.pkg.TypesInfo.TypeOf(e.Y)
		}
		var err error
		if as, err = w.typeOf(operands); err != nil {
			return nil
		}
	}
	var negation ast.Expr
	if e.Op == token.ADD || e.Op == token.SUB {
		if basic, is := t.Underlying().(*types.Basic); !is || basic.Info()&types.IsInteger == 0 {
			return nil
		}
	} else {
		negation = w.add("negate", e, "its opposite")
	}
	number := w.add(swap.name, e, swap.is)
	return func(n ast.Node) ast.Node {
		b := n.(*ast.BinaryExpr)
		left, right := b.X, b.Y
		if swap.mirrored {
			left, right = right, left
		}
		var put *ast.CallExpr
		if logic {
			later := &ast.FuncLit{Type: &ast.FuncType{Params: &ast.FieldList{}, Results: &ast.FieldList{List: []*ast.Field{{Type: ast.NewIdent("bool")}}}},
				Body: &ast.BlockStmt{List: []ast.Stmt{&ast.ReturnStmt{Results: []ast.Expr{right}}}}}
			put = call(swap.function, number, left, later)
		} else {
			put = &ast.CallExpr{Fun: &ast.IndexExpr{X: ast.NewIdent(swap.function), Index: as}, Args: []ast.Expr{number, left, right}}
		}
		if negation == nil {
			return put
		}
		return call("mutantNot", negation, put)
	}
}

// literal has a mutant that is one more.
func (w *writer) literal(e *ast.BasicLit, t types.Type) func(ast.Node) ast.Node {
	basic, is := t.Underlying().(*types.Basic)
	if !is || basic.Info()&types.IsInteger == 0 || basic.Info()&types.IsUntyped != 0 {
		return nil
	}
	as, err := w.typeOf(t)
	if err != nil {
		return nil
	}
	number := w.add("constant+1", e, e.Value+" + 1")
	return func(n ast.Node) ast.Node {
		return &ast.CallExpr{Fun: &ast.IndexExpr{X: ast.NewIdent("mutantConstant"), Index: as}, Args: []ast.Expr{number, n.(ast.Expr)}}
	}
}

var errNoName = errors.New("the type has no name here")

// typeOf returns a type as it is written in the file. A package must be imported
// there by its own name.
func (w *writer) typeOf(t types.Type) (ast.Expr, error) {
	ok := true
	text := types.TypeString(t, func(p *types.Package) string {
		if p == w.pkg.Types {
			return ""
		}
		ok = ok && w.imports[p.Path()]
		return p.Name()
	})
	if !ok || strings.Contains(text, "untyped") {
		return nil, errNoName
	}
	return parser.ParseExpr(text)
}
