// SPDX-License-Identifier: Apache-2.0

package systems

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a system has to serve, or a process to end.
const patience = 20 * time.Second

// processes are those of a system. The kernel kills them with this process: they are
// started by goroutines that are not locked to a thread, and the runtime keeps threads.
type processes struct{ commands []*exec.Cmd }

// start runs a program with its output in a log of that name.
func (p *processes) start(command *exec.Cmd, log string) error {
	out, err := os.Create(log)
	if err != nil {
		return fmt.Errorf("make a log: %w", err)
	}
	defer out.Close()
	command.Stdout, command.Stderr = out, out
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := command.Start(); err != nil {
		return fmt.Errorf("start %s: %w", filepath.Base(command.Path), err)
	}
	p.commands = append(p.commands, command)
	return nil
}

// Close ends them at once: what they have on disk is removed with them.
func (p *processes) Close() error {
	var err error
	for _, c := range p.commands {
		if e := c.Process.Kill(); !errors.Is(e, os.ErrProcessDone) {
			err = errors.Join(err, e)
		}
		// They end by a signal, which Wait takes for a failure.
		_ = c.Wait()
	}
	p.commands = nil
	return err
}

// freePorts returns ports of the loopback device that nobody listens at.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		// All stay taken until the last is found, so that they differ.
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// await polls until a question is answered without an error.
func await(ctx context.Context, what string, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		once, done := context.WithTimeout(ctx, time.Second)
		err := ask(once)
		done()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s within %v: %w", what, patience, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
