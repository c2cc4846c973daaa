// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"dalio/bpf"
	"dalio/protocol"
)

// Process is a contender in user space: a program that serves a UDP socket. It
// understands the flags of c/main.c, as golang does too, and writes "ready" when it serves.
type Process struct {
	// Label is its Name.
	Label string
	Path  string
	// Args come after the flags that say where to serve and for whom.
	Args []string
	// Echo means that it sends back what it gets, knows no flags but those of the
	// socket, and is given no other work.
	Echo bool
}

// Name implements Contender.
func (p Process) Name() string { return p.Label }

// Knows implements Contender.
func (p Process) Knows() Knowledge {
	if p.Echo {
		return Messages
	}
	return Versions
}

// Start implements Contender.
func (p Process) Start(site *Site) (Running, error) {
	if err := site.Settings.fitSockets(); err != nil {
		return nil, err
	}
	args := append(p.flags(site.Settings), p.Args...)
	r := &runningProcess{}
	err := site.Do(func() error {
		var err error
		// Without an XDP program a veth device has no thread to receive for it.
		if r.pass, err = bpf.AttachPass(site.Coordinator); err != nil {
			return err
		}
		r.command, err = startReady(p.Path, args)
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", p.Path, err), r.Close())
	}
	return r, nil
}

func (p Process) flags(s Settings) []string {
	flags := []string{"--listen", hostPort(self()), "--cpu", strconv.Itoa(s.CoordinatorCPU)}
	if p.Echo {
		return flags
	}
	flags = append(flags, "--epoch", strconv.Itoa(epoch))
	for _, m := range s.members() {
		flags = append(flags, "--replica", fmt.Sprintf("%d,%s", m.ID, hostPort(m.Address)))
	}
	return flags
}

func hostPort(a protocol.Address) string {
	return netip.AddrPortFrom(netip.AddrFrom4(a.IP), a.Port).String()
}

// startReady starts a program, with some open files from the third on, and waits until
// it says that it is ready. The kernel kills it when the calling thread ends.
func startReady(path string, args []string, files ...*os.File) (*exec.Cmd, error) {
	command := exec.Command(path, args...)
	command.ExtraFiles = files
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := StartReady(command, (*exec.Cmd).Start, func(line string) bool { return line == "ready\n" }, 5*time.Second); err != nil {
		return nil, err
	}
	return command, nil
}

// StartReady has a program started, and waits until the first line that it says is that
// it is ready. If it is not, or not in time, it is ended, and the error has what it
// complained of.
func StartReady(command *exec.Cmd, start func(*exec.Cmd) error, ready func(line string) bool, patience time.Duration) error {
	var complaint bytes.Buffer
	command.Stderr = &complaint
	out, err := command.StdoutPipe()
	if err != nil {
		return fmt.Errorf("start %s: %w", command.Path, err)
	}
	if err := start(command); err != nil {
		return err
	}
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(out).ReadString('\n')
		line <- text
	}()
	select {
	case text := <-line:
		if ready(text) {
			return nil
		}
		err = fmt.Errorf("%s said %q, not that it is ready", command.Path, text)
	case <-time.After(patience):
		err = fmt.Errorf("%s did not say within %v that it is ready", command.Path, patience)
	}
	return fmt.Errorf("%w: %s", errors.Join(err, End(command)), strings.TrimSpace(complaint.String()))
}

// End ends a program that was started.
func End(command *exec.Cmd) error {
	err := command.Process.Kill()
	// It ends by a signal, which Wait takes for a failure.
	_ = command.Wait()
	return err
}

type runningProcess struct {
	pass    io.Closer
	command *exec.Cmd
}

func (r *runningProcess) Processes() []int { return []int{r.command.Process.Pid} }

func (r *runningProcess) Close() error {
	var err error
	if r.command != nil {
		err = End(r.command)
	}
	if r.pass != nil {
		err = errors.Join(err, r.pass.Close())
	}
	return err
}
