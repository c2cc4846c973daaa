// SPDX-License-Identifier: Apache-2.0

package solver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// Verdict is what the solver says of a set of formulas.
type Verdict string

const (
	Unsat   Verdict = "unsat"
	Sat     Verdict = "sat"
	Unknown Verdict = "unknown"
)

// session is one run of z3, asked one question after the other.
type session struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// start begins a run in which no question may take longer than limit.
func start(ctx context.Context, limit time.Duration) (*session, error) {
	cmd := exec.CommandContext(ctx, "z3", "-smt2", "-in")
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("z3 cannot be run: %w; scripts/setup test installs it", err)
	}
	s := &session{cmd: cmd, in: in, out: bufio.NewReaderSize(out, 1<<16)}
	s.tell(fmt.Sprintf("(set-option :timeout %d)\n", limit.Milliseconds()))
	return s, nil
}

func (s *session) tell(text string) { io.WriteString(s.in, text) }

// ask has the solver decide what it has been told.
func (s *session) ask() (Verdict, error) {
	s.tell("(check-sat)\n")
	line, err := s.out.ReadString('\n')
	if err != nil {
		return Unknown, fmt.Errorf("z3 ended early: %w", err)
	}
	switch v := Verdict(strings.TrimSpace(line)); v {
	case Sat, Unsat, Unknown:
		return v, nil
	case "timeout":
		return Unknown, nil
	}
	return Unknown, fmt.Errorf("z3 says %s", strings.TrimSpace(line))
}

// model is the state by which the last question was answered Sat.
func (s *session) model() (string, error) {
	s.tell("(get-model)\n(echo \"end of model\")\n")
	var b strings.Builder
	for {
		line, err := s.out.ReadString('\n')
		if err != nil {
			return "", fmt.Errorf("z3 ended early: %w", err)
		}
		if strings.Contains(line, "end of model") {
			return b.String(), nil
		}
		if strings.HasPrefix(line, "(error") {
			return "", fmt.Errorf("z3 can't print its model: %s", strings.TrimSpace(line))
		}
		b.WriteString(line)
	}
}

func (s *session) close() {
	s.in.Close()
	s.cmd.Wait()
}
