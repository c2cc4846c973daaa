// SPDX-License-Identifier: Apache-2.0

package edges

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"dalio/spec/cfg"
	"dalio/spec/jar"
	"dalio/spec/tla"
)

// parallel is how many models are worked on at a time: TLC uses one core.
const parallel = 2

// timeLimit bounds the two checkers' work on one model, which is done in minutes on a
// machine that does other work too.
const timeLimit = 20 * time.Minute

// Coded is a Machine, and what is to know of its steps.
type Coded interface {
	Machine
	// Symmetries returns the sets of model values that may be exchanged.
	Symmetries() [][]tla.Model
	// External says whether an action is not the system's, but the network's or a fault.
	External(action string) bool
}

// Options say what is compared.
type Options struct {
	Short bool           // the models of the short form only
	Only  *regexp.Regexp // only models of such a name, unless it is nil
	Out   io.Writer      // gets a line for each model
	// Machines makes the machine of a configuration, by module. Calls has what the
	// clients may do.
	Machines map[string]func(c cfg.Config, calls tla.Value) (Coded, error)
	// Altered must be noticed, each in its model.
	Altered []Altered
	// Second is the path of the second checker's binary.
	Second string
}

// Result is what was compared. All of it was equal, or there is an error.
type Result struct {
	Models, States int
	// Steps counts different steps, see Counts.Distinct. Taken counts all.
	Steps, Taken int
	// Noticed is how many altered machines were noticed, all of them.
	Noticed int
}

type runner struct {
	Options
	root, jar, work string
	mu              sync.Mutex
	result          Result
	taken           map[string]map[string]int // by module and action
}

// Run compares the models of spec/conform, below root, the directory of go.mod. The
// error tells the first differences of each model. If no model is chosen, there is
// none, and the result has 0 models.
func Run(ctx context.Context, root string, options Options) (Result, error) {
	// The checkers run in other directories.
	root, err := filepath.Abs(root)
	if err != nil {
		return Result{}, err
	}
	if options.Second, err = filepath.Abs(options.Second); err != nil {
		return Result{}, err
	}
	r := &runner{Options: options, root: root, work: filepath.Join(root, "build", "conform"), taken: map[string]map[string]int{}}
	manifest, err := readManifest(root)
	if err != nil {
		return Result{}, err
	}
	chosen := slices.DeleteFunc(slices.Clone(manifest.Models), func(m Model) bool {
		return options.Short && !m.Short || options.Only != nil && !options.Only.MatchString(m.Name)
	})
	if len(chosen) == 0 {
		return Result{}, nil
	}
	if r.jar, err = jar.FetchPinned(ctx, root); err == nil {
		err = os.MkdirAll(r.work, 0o755)
	}
	if err != nil {
		return Result{}, err
	}
	problems := make([]error, len(chosen))
	next := make(chan int)
	var workers sync.WaitGroup
	for range parallel {
		workers.Go(func() {
			for i := range next {
				problems[i] = r.model(ctx, chosen[i])
			}
		})
	}
	for i := range chosen {
		next <- i
	}
	close(next)
	workers.Wait()
	err = errors.Join(problems...)
	if err == nil && !options.Short && options.Only == nil {
		err = r.judgeActions(manifest.Actions)
	}
	return r.result, err
}

// model does all that there is to do with one model.
func (r *runner) model(ctx context.Context, m Model) error {
	started := time.Now()
	counts, err := r.compare(ctx, m)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		fmt.Fprintf(r.Out, "%-18s WRONG: %v\n", m.Name, err)
		return fmt.Errorf("model %s is wrong", m.Name)
	}
	fmt.Fprintf(r.Out, "%-18s %6d states, the same in TLC, the second checker and the code's own search; %6d steps taken, %6d different; %6d that change nothing, %d of the network and of faults  %.1f s\n",
		m.Name, counts.States, counts.Steps, counts.Distinct, counts.Loops, counts.Network, time.Since(started).Seconds())
	r.result.Models++
	r.result.States += counts.States
	r.result.Steps += counts.Distinct
	r.result.Taken += counts.Steps
	if r.taken[m.Module] == nil {
		r.taken[m.Module] = map[string]int{}
	}
	for action, n := range counts.ByAction {
		r.taken[m.Module][action] += n
	}
	return nil
}

func (r *runner) compare(ctx context.Context, m Model) (Counts, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeLimit, fmt.Errorf("the checkers were not done within %v", timeLimit))
	defer cancel()
	g, err := r.print(ctx, m)
	if err != nil {
		return Counts{}, err
	}
	config, err := ReadConfig(r.root, m)
	if err != nil {
		return Counts{}, err
	}
	if err := r.second(ctx, m, config, g.different()); err != nil {
		return Counts{}, err
	}
	newMachine, known := r.Machines[m.Module]
	if !known {
		return Counts{}, fmt.Errorf("there is no code for module %s", m.Module)
	}
	machine, err := newMachine(config, g.Calls)
	if err != nil {
		return Counts{}, err
	}
	once := &remembering{Machine: machine, steps: map[string][]Step{}}
	if err := Compare(g, once); err != nil {
		return Counts{}, err
	}
	if err := Search(g, once); err != nil {
		return Counts{}, err
	}
	if err := r.alter(g, m, config); err != nil {
		return Counts{}, err
	}
	counts := Count(g, machine.Symmetries(), machine.External)
	if counts.Distinct != m.Steps {
		return Counts{}, fmt.Errorf("there are %d different steps; the manifest says %d", counts.Distinct, m.Steps)
	}
	return counts, nil
}

// judgeActions expects that the models together take every action of each module.
func (r *runner) judgeActions(actions map[string][]string) error {
	var missing []string
	for module, all := range actions {
		for _, action := range all {
			if r.taken[module][action] == 0 {
				missing = append(missing, action+" of "+module)
			}
		}
	}
	for module, taken := range r.taken {
		for action := range taken {
			if !slices.Contains(actions[module], action) {
				missing = append(missing, action+" of "+module+" in the manifest")
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return fmt.Errorf("no model takes, or names: %s", strings.Join(missing, ", "))
}

// alter shows that the comparison of the model can fail.
func (r *runner) alter(g *Graph, m Model, config cfg.Config) error {
	for _, altered := range r.Altered {
		if altered.Model != m.Name {
			continue
		}
		machine, err := r.Machines[m.Module](config, g.Calls)
		if err != nil {
			return err
		}
		if err := altered.expectNoticed(g, machine); err != nil {
			return err
		}
		r.mu.Lock()
		r.result.Noticed++
		r.mu.Unlock()
	}
	return nil
}

// remembering is a machine that does not take the steps from a state again.
type remembering struct {
	Machine
	mu    sync.Mutex // guards steps
	steps map[string][]Step
}

func (r *remembering) Successors(s State) ([]Step, error) {
	key := s.String()
	r.mu.Lock()
	steps, known := r.steps[key]
	r.mu.Unlock()
	if known {
		return steps, nil
	}
	steps, err := r.Machine.Successors(s)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps[key] = steps
	return steps, err
}
