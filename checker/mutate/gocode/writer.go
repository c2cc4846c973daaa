// SPDX-License-Identifier: Apache-2.0

package gocode

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/constant"
	"go/format"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/tools/go/ast/astutil"
	"golang.org/x/tools/go/packages"
	"golang.org/x/tools/go/types/typeutil"
)

// writer puts mutants into the files of a package.
type writer struct {
	pkg     *packages.Package
	root    string
	file    string
	where   string
	mutants []Mutant
	named   map[string]int
	// imports has the paths of what the file imports under no other name.
	imports map[string]bool
}

// add notes a mutant of the node, and returns the number of its switch.
func (w *writer) add(operator string, node ast.Node, is string) ast.Expr {
	position := w.pkg.Fset.Position(node.Pos())
	was := w.text(node)
	name := fmt.Sprintf("%s in %s %s: %s", operator, w.file, w.where, was)
	w.named[name]++
	if n := w.named[name]; n > 1 {
		name = fmt.Sprintf("%s (%d)", name, n)
	}
	m := Mutant{Name: name, Place: fmt.Sprintf("%s:%d", w.file, position.Line), Is: is, number: len(w.mutants) + 1}
	w.mutants = append(w.mutants, m)
	return &ast.BasicLit{Kind: token.INT, Value: strconv.Itoa(m.number)}
}

// text returns a node's text on one line.
func (w *writer) text(node ast.Node) string {
	var b bytes.Buffer
	if err := format.Node(&b, w.pkg.Fset, node); err != nil {
		return err.Error()
	}
	line := strings.Join(strings.Fields(b.String()), " ")
	if len(line) > 160 {
		line = line[:160] + "..."
	}
	return line
}

func (w *writer) rewrite(file *ast.File, name string) ([]byte, error) {
	relative, err := filepath.Rel(w.root, name)
	if err != nil {
		return nil, err
	}
	w.file = filepath.ToSlash(relative)
	w.imports = map[string]bool{}
	for _, i := range file.Imports {
		if path, err := strconv.Unquote(i.Path.Value); err == nil && i.Name == nil {
			w.imports[path] = true
		}
	}
	// What is printed with its comments moved would not be what was read.
	file.Comments = nil
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil || f.Name.Name == "String" || f.Name.Name == "init" {
			continue
		}
		w.where = f.Name.Name
		w.function(f)
	}
	var b bytes.Buffer
	if err := format.Node(&b, w.pkg.Fset, file); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// function mutates a function's body. Names are made from the nodes as they were, so
// all are found before any is changed.
func (w *writer) function(f *ast.FuncDecl) {
	of := []*types.Signature{w.pkg.TypesInfo.Defs[f.Name].Type().(*types.Signature)}
	replace := map[ast.Node]func(ast.Node) ast.Node{}
	before := map[ast.Node]ast.Stmt{}
	listed := statementsInLists(f.Body)
	var find func(ast.Node) bool
	find = func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			of = append(of, w.pkg.TypesInfo.TypeOf(n).(*types.Signature))
			ast.Inspect(n.Body, find)
			of = of[:len(of)-1]
			return false
		case *ast.ArrayType, *ast.DeclStmt:
			return false // There constants must stay constants.
		case *ast.ReturnStmt:
			if early := w.zeroReturn(n, of[len(of)-1]); early != nil {
				before[n] = early
			}
		case ast.Stmt:
			if listed[n] {
				if put := w.statement(n); put != nil {
					replace[n] = put
				}
			}
		case ast.Expr:
			if put := w.expression(n); put != nil {
				replace[n] = put
			}
			return w.pkg.TypesInfo.Types[n].Value == nil
		}
		return true
	}
	ast.Inspect(f.Body, find)
	astutil.Apply(f.Body, nil, func(c *astutil.Cursor) bool {
		if early := before[c.Node()]; early != nil {
			c.InsertBefore(early)
		}
		if put := replace[c.Node()]; put != nil {
			c.Replace(put(c.Node()))
		}
		return true
	})
}

// statementsInLists returns those that something can be put around.
func statementsInLists(body ast.Node) map[ast.Stmt]bool {
	all := map[ast.Stmt]bool{}
	ast.Inspect(body, func(n ast.Node) bool {
		var list []ast.Stmt
		switch n := n.(type) {
		case *ast.BlockStmt:
			list = n.List
		case *ast.CaseClause:
			list = n.Body
		case *ast.CommClause:
			list = n.Body
		}
		for _, s := range list {
			all[s] = true
		}
		return true
	})
	return all
}

func call(function string, arguments ...ast.Expr) *ast.CallExpr {
	return &ast.CallExpr{Fun: ast.NewIdent(function), Args: arguments}
}

// statement has a mutant without it.
func (w *writer) statement(s ast.Stmt) func(ast.Node) ast.Node {
	switch s := s.(type) {
	case *ast.IncDecStmt:
	case *ast.ExprStmt:
		if w.isAside(s.X) {
			return nil
		}
	case *ast.AssignStmt:
		if s.Tok == token.DEFINE || isBlank(s) {
			return nil
		}
	default:
		return nil
	}
	number := w.add("drop", s, "nothing")
	return func(n ast.Node) ast.Node {
		without := &ast.UnaryExpr{Op: token.NOT, X: call("mutantIs", number)}
		return &ast.IfStmt{Cond: without, Body: &ast.BlockStmt{List: []ast.Stmt{n.(ast.Stmt)}}}
	}
}

// isAside says whether a call only logs, or takes or gives back a lock. No assertion
// is about a line in a log, and locks are the race detector's.
func (w *writer) isAside(e ast.Expr) bool {
	c, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	f := typeutil.StaticCallee(w.pkg.TypesInfo, c)
	if f == nil || f.Pkg() == nil {
		return false
	}
	path := f.Pkg().Path()
	return path == "log/slog" || path == "sync" && (strings.HasSuffix(f.Name(), "Lock") || strings.HasSuffix(f.Name(), "Unlock"))
}

func isBlank(s *ast.AssignStmt) bool {
	for _, left := range s.Lhs {
		if name, ok := left.(*ast.Ident); !ok || name.Name != "_" {
			return false
		}
	}
	return true
}

// zeroReturn has a mutant that returns zero values. What returns them already has none.
func (w *writer) zeroReturn(s *ast.ReturnStmt, of *types.Signature) ast.Stmt {
	if len(s.Results) == 0 || len(s.Results) != of.Results().Len() {
		return nil
	}
	zero := true
	var zeros []ast.Expr
	for i, result := range s.Results {
		zero = zero && w.isZero(result)
		t, err := w.typeOf(of.Results().At(i).Type())
		if err != nil {
			return nil
		}
		zeros = append(zeros, &ast.StarExpr{X: call("new", t)})
	}
	if zero {
		return nil
	}
	number := w.add("return-zero", s, "the zero values")
	return &ast.IfStmt{Cond: call("mutantIs", number), Body: &ast.BlockStmt{List: []ast.Stmt{&ast.ReturnStmt{Results: zeros}}}}
}

func (w *writer) isZero(e ast.Expr) bool {
	v := w.pkg.TypesInfo.Types[e]
	switch {
	case v.IsNil():
		return true
	case v.Value == nil:
		literal, is := e.(*ast.CompositeLit)
		return is && !slices.ContainsFunc(literal.Elts, func(e ast.Expr) bool {
			field, keyed := e.(*ast.KeyValueExpr)
			return !keyed || !w.isZero(field.Value)
		})
	case v.Value.Kind() == constant.Bool:
		return !constant.BoolVal(v.Value)
	case v.Value.Kind() == constant.String:
		return constant.StringVal(v.Value) == ""
	}
	return constant.Sign(v.Value) == 0
}
