// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"dalio/impl/fabric"
)

// Process is a child of the cluster on one node. It can be killed and stopped
// like any other process.
type Process struct {
	Name string
	PID  int
	// Node is where it runs.
	Node *fabric.Node

	// command is the executable and its arguments.
	command []string
	log     string
	// logStart is where its part of the log starts.
	logStart int64
	cmd      *exec.Cmd
	done     chan struct{}
}

// start runs the command on the node, with what it says in a log file, and waits
// until the child says on its standard output that it is ready.
func start(ctx context.Context, node *fabric.Node, executable, logs string, args ...string) (*Process, error) {
	p := &Process{Name: node.Name, Node: node, command: append([]string{executable}, args...), log: filepath.Join(logs, node.Name+".log"), done: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	if p.logStart, err = log.Seek(0, io.SeekEnd); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", p.Name, err), log.Close())
	}
	// The child's standard output is a pipe of this process, which reads the
	// first line for itself and copies the rest to the log.
	out, in, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", p.Name, err), log.Close())
	}
	p.cmd = exec.Command(executable, args...)
	p.cmd.Stdout, p.cmd.Stderr = in, log
	err = node.Start(p.cmd)
	in.Close()
	if err != nil {
		return nil, errors.Join(err, out.Close(), log.Close())
	}
	p.PID = p.cmd.Process.Pid
	go func() {
		// How it ended is told by its log; its status tells no more.
		_ = p.cmd.Wait()
		close(p.done)
	}()
	ready := make(chan error, 1)
	go listenTo(out, log, ready)
	select {
	case err = <-ready:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		err = fmt.Errorf("%s did not become ready (%w): %s", p.Name, err, p.lastWords())
		return nil, errors.Join(err, p.Kill())
	}
	return p, nil
}

// listenTo waits for a child's first line, which is to say that it is ready, and
// then copies what the child says to its log, for as long as it lives.
func listenTo(out io.ReadCloser, log io.WriteCloser, ready chan<- error) {
	defer out.Close()
	defer log.Close()
	said := bufio.NewReader(out)
	line, err := said.ReadBytes('\n')
	var message struct {
		Ready bool `json:"ready"`
	}
	switch {
	case errors.Is(err, io.EOF):
		err = errors.New("it ended")
	case err == nil && (json.Unmarshal(line, &message) != nil || !message.Ready):
		err = fmt.Errorf("it said %q", line)
	}
	ready <- err
	// A log that cannot be written is no reason to stop the child.
	_, _ = io.Copy(log, said)
	_, _ = io.Copy(io.Discard, said)
}

// lastWords returns the end of the child's log, which says why it ended.
func (p *Process) lastWords() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b[min(int(p.logStart), len(b)):])), "\n")
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
