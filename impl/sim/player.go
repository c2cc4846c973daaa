// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"dalio/bpf"
)

// Coordinators is how many a shard has: one serves, the other stands by.
const Coordinators = 2

// Player plays plans, one after the other, on programs that are loaded once. Its
// methods must be called by the goroutine that made it, which stays on one processor.
type Player struct{ rigs []*bpf.Rig }

// NewPlayer keeps the calling goroutine on one of the processors that it may use, and
// loads the programs: those shipped, or with an object those in it.
func NewPlayer(number int, object string) (*Player, error) {
	if err := pin(number); err != nil {
		return nil, err
	}
	p := &Player{}
	for i := range Coordinators {
		r, err := bpf.LoadRig(RigOptions(i, object))
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
		p.rigs = append(p.rigs, r)
	}
	return p, nil
}

// pin keeps the calling goroutine, whose thread ends with it, on a processor.
func pin(number int) error {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return fmt.Errorf("ask for the processors: %w", err)
	}
	if number %= allowed.Count(); number < 0 {
		return errors.New("processors are numbered from 0")
	}
	runtime.LockOSThread()
	for cpu := 0; ; cpu++ {
		if !allowed.IsSet(cpu) {
			continue
		}
		if number--; number >= 0 {
			continue
		}
		var one unix.CPUSet
		one.Set(cpu)
		if err := unix.SchedSetaffinity(0, &one); err != nil {
			return fmt.Errorf("stay on processor %d: %w", cpu, err)
		}
		return nil
	}
}

// Play runs a plan, and audits it.
func (p *Player) Play(seed uint64, plan Plan) *Result { return Run(seed, plan, p.rigs) }

// Close frees the programs.
func (p *Player) Close() error {
	var problems []error
	for _, r := range p.rigs {
		problems = append(problems, r.Close())
	}
	return errors.Join(problems...)
}
