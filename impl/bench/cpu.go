// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// ErrProcessors is returned when the process may not run on two processors.
var ErrProcessors = errors.New("two processors are needed: one for the coordinator, one for what surrounds it")

// Processors chooses two of those that the process may run on. The coordinator
// gets the last, as devices interrupt the first.
func Processors() (coordinator, surroundings int, err error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return 0, 0, fmt.Errorf("find processors: %w", err)
	}
	var all []int
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			all = append(all, i)
		}
	}
	if len(all) < 2 {
		return 0, 0, ErrProcessors
	}
	return all[len(all)-1], all[0], nil
}

func pin(pid, cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(pid, &set); err != nil {
		return fmt.Errorf("pin thread %d to processor %d: %w", pid, cpu, err)
	}
	return nil
}

// prefer has a process, with all its threads, run before all ordinary ones, in
// turn with others of its kind. All that takes part in a measurement is given
// it, so that only work that has no part in it is held off. For a coordinator in
// user space it is also the better schedule: it is not woken before all that has
// come is received.
func prefer(pid int) error {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/[0-9]*", pid))
	if err != nil {
		return fmt.Errorf("list threads of process %d: %w", pid, err)
	}
	for _, path := range threads {
		thread, err := strconv.Atoi(filepath.Base(path))
		if err != nil {
			return fmt.Errorf("list threads of process %d: %w", pid, err)
		}
		if err := schedule(thread, 1, 0); err != nil {
			return err
		}
	}
	return nil
}

// preempt has the calling thread, which must be locked to its goroutine, run
// before even those.
func preempt(cpu int) error {
	if err := pin(0, cpu); err != nil {
		return err
	}
	return schedule(0, 2, unix.SCHED_FLAG_RESET_ON_FORK)
}

// wakers are processes that keep processors from falling idle. To wake a thread of an
// idle processor takes an interrupt of it, which in a virtual machine is dear, and which
// the coordinator would pay for, the more often the smaller its batches are. They get the
// priority of the load, and yield to it all the time. (A goroutine that did the same would
// be preempted by the runtime every 10 ms, and then wait for threads of the runtime that
// have no such priority.)
type wakers []*exec.Cmd

// keepAwake starts the program given for each of the processors. As yet they have no
// priority: what runs before all others is not to be waited for by others. They end at
// the latest when the calling thread does, and after the time given.
func keepAwake(program string, longest time.Duration, cpus ...int) (wakers, error) {
	var w wakers
	seconds := int(longest/time.Second) + 1
	for _, cpu := range cpus {
		command, err := startReady(program, []string{strconv.Itoa(cpu), strconv.Itoa(seconds)})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("keep processor %d awake: %w", cpu, err), w.end())
		}
		w = append(w, command)
	}
	return w, nil
}

// rise gives them their priority.
func (w wakers) rise() error {
	for _, command := range w {
		if err := prefer(command.Process.Pid); err != nil {
			return err
		}
	}
	return nil
}

// kill lets processors fall idle, and waits for nobody.
func (w wakers) kill() error {
	var err error
	for _, command := range w {
		err = errors.Join(err, command.Process.Kill())
	}
	return err
}

// end kills them, unless that is done, and waits for them.
func (w wakers) end() error {
	err := w.kill()
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	for _, command := range w {
		// They end by a signal, which Wait takes for a failure.
		_ = command.Wait()
	}
	return err
}

// Unhurried readies the runtime for a goroutine that must not wait for others:
// their threads may hardly run while there is load. There is no collection
// meanwhile, and a processor of the runtime is always idle.
func Unhurried() (restore func()) {
	const spare = 8
	percent, processors := debug.SetGCPercent(-1), runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(processors + spare)
	return func() {
		runtime.GOMAXPROCS(processors)
		debug.SetGCPercent(percent)
	}
}

// schedule gives a thread a priority above ordinary ones; 0 is the calling one.
func schedule(thread int, priority uint32, flags uint64) error {
	attributes := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: priority, Flags: flags}
	if err := unix.SchedSetAttr(thread, &attributes, 0); err != nil {
		return fmt.Errorf("give thread %d priority: %w", thread, err)
	}
	return nil
}

// cpuTime returns the processor time that a process, or a kernel thread, has
// used, to the nanosecond and up to this moment.
func cpuTime(pid int) (time.Duration, error) {
	// The kernel's number for the clock of a whole process: see clock_getcpuclockid(3).
	const cpuClockSched = 2
	var now unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|cpuClockSched), &now); err != nil {
		return 0, fmt.Errorf("read processor time of process %d: %w", pid, err)
	}
	return time.Duration(now.Nano()), nil
}

// processorTime returns how long a processor has worked since the start of the
// machine, in the kernel's ticks.
func processorTime(cpu int) (time.Duration, error) {
	const tick = 10 * time.Millisecond
	file, err := os.Open("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("read processor statistics: %w", err)
	}
	defer file.Close()
	name := fmt.Sprintf("cpu%d ", cpu)
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if !strings.HasPrefix(lines.Text(), name) {
			continue
		}
		var user, nice, system, idle, wait, irq, softirq, steal int64
		_, err := fmt.Sscan(lines.Text()[len(name):], &user, &nice, &system, &idle, &wait, &irq, &softirq, &steal)
		if err != nil {
			return 0, fmt.Errorf("read statistics of processor %d: %w", cpu, err)
		}
		return time.Duration(user+nice+system+irq+softirq+steal) * tick, nil
	}
	return 0, fmt.Errorf("read processor statistics: no processor %d", cpu)
}

// MachineTime returns for how many seconds the machine's processors have worked since it
// started, all together.
func MachineTime() (float64, error) {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return 0, fmt.Errorf("read processor statistics: %w", err)
	}
	stat, err := fs.Stat()
	if err != nil {
		return 0, fmt.Errorf("read processor statistics: %w", err)
	}
	t := stat.CPUTotal
	return t.User + t.Nice + t.System + t.IRQ + t.SoftIRQ + t.Steal, nil
}
