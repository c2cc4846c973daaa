// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"dalio/impl/fabric"
)

// Process is a child of the cluster on one node. It can be killed and stopped
// like any other process; nobody restarts it.
type Process struct {
	Name string
	PID  int
	// Node is where it runs.
	Node *fabric.Node

	log  string
	cmd  *exec.Cmd
	done chan struct{}
}

// start runs the command on the node, with its standard error in a log file, and
// waits until the child says on its standard output that it is ready.
func start(ctx context.Context, node *fabric.Node, executable, logs string, args ...string) (*Process, error) {
	p := &Process{Name: node.Name, Node: node, log: filepath.Join(logs, node.Name+".log"), done: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	defer log.Close()
	// The child writes to a pipe of this process, which reads one line of it.
	out, in, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	p.cmd = exec.Command(executable, args...)
	p.cmd.Stdout, p.cmd.Stderr = in, log
	err = node.Start(p.cmd)
	in.Close()
	if err != nil {
		out.Close()
		return nil, err
	}
	p.PID = p.cmd.Process.Pid
	go func() {
		// How it ended is told by its log; its status tells no more.
		_ = p.cmd.Wait()
		close(p.done)
	}()
	if err := p.awaitReady(ctx, out); err != nil {
		return nil, errors.Join(err, p.Kill())
	}
	return p, nil
}

func (p *Process) awaitReady(ctx context.Context, out *os.File) error {
	ready := make(chan error, 1)
	go func() {
		defer out.Close()
		line, err := bufio.NewReader(out).ReadBytes('\n')
		var said struct {
			Ready bool `json:"ready"`
		}
		if err == nil {
			err = json.Unmarshal(line, &said)
		}
		if err == nil && !said.Ready {
			err = fmt.Errorf("it said %q", line)
		}
		ready <- err
	}()
	select {
	case err := <-ready:
		if err != nil {
			return fmt.Errorf("%s did not become ready: %s", p.Name, p.lastWords())
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s did not become ready in time: %s", p.Name, p.lastWords())
	}
}

// lastWords returns the end of the child's log, which says why it ended.
func (p *Process) lastWords() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	last := strings.TrimSpace(lines[len(lines)-1])
	if last == "" {
		return "it said nothing, see " + p.log
	}
	return last
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running says whether the process has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Signal sends the process a signal, such as SIGSTOP, and does not wait.
func (p *Process) Signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", p.Name, err)
	}
	return nil
}

// Kill ends the process with SIGKILL and waits until it is gone.
func (p *Process) Kill() error {
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}
