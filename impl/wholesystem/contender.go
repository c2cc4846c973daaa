// SPDX-License-Identifier: Apache-2.0

package wholesystem

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"dalio/impl/bench"
	"dalio/impl/fabric"
)

// Contender is what can coordinate a shard.
type Contender interface {
	// Name is a short word for rows and keys.
	Name() string
	// Judged says whether what its clients see must be linearizable.
	Judged() bool
	// start has it coordinate the shard in the shard's epoch, until what is returned
	// is closed.
	start(*shard) (io.Closer, error)
}

// Dalio is the dalio command's coordinator, in XDP.
type Dalio struct {
	// Executable is the dalio command.
	Executable string
	// Object is a data plane to load in place of the built-in one.
	Object string
}

// Name implements Contender.
func (Dalio) Name() string { return "dalio" }

// Judged implements Contender.
func (Dalio) Judged() bool { return true }

func (d Dalio) start(s *shard) (io.Closer, error) {
	args := append([]string{"coordinator", "--dev", fabric.Device}, s.flags("%d=%v")...)
	if d.Object != "" {
		args = append(args, "--object", d.Object)
	}
	return startProcess(s.node, d.Executable, args)
}

// Sockets is a coordinator in user space, a program that understands the flags of
// impl/bench/c/main.c.
type Sockets struct {
	// Label is its Name.
	Label string
	Path  string
	// Args come after the flags that say where to serve and for whom.
	Args []string
}

// Name implements Contender.
func (c Sockets) Name() string { return c.Label }

// Judged implements Contender.
func (Sockets) Judged() bool { return true }

func (c Sockets) start(s *shard) (io.Closer, error) {
	pass, err := s.node.AttachPass()
	if err != nil {
		return nil, err
	}
	p, err := startProcess(s.node, c.Path, append(s.flags("%d,%v"), c.Args...))
	if err != nil {
		return nil, errors.Join(err, pass.Close())
	}
	return &onSockets{p, pass}, nil
}

// onSockets is a process, and the program by which frames come to it.
type onSockets struct{ process, pass io.Closer }

// Close ends both.
func (o *onSockets) Close() error { return errors.Join(o.process.Close(), o.pass.Close()) }

// flags say where to serve, for whom and in which epoch; pair is how id and address of
// a replica are written.
func (s *shard) flags(pair string) []string {
	flags := []string{"--listen", s.at.String(), "--epoch", strconv.Itoa(int(s.epoch))}
	for _, m := range s.members {
		at := netip.AddrPortFrom(netip.AddrFrom4(m.Address.IP), m.Address.Port)
		flags = append(flags, "--replica", fmt.Sprintf(pair, m.ID, at))
	}
	return flags
}

// Ideal is what no coordinator can be better than: the stateless XDP program that
// touches and sends the same packets. It loses what others keep, and is not judged.
type Ideal struct{}

// Name implements Contender.
func (Ideal) Name() string { return "ideal" }

// Judged implements Contender.
func (Ideal) Judged() bool { return false }

func (Ideal) start(s *shard) (attached io.Closer, err error) {
	f := bench.Forwarder{Self: addressOf(s.node), Members: s.members, Epoch: s.epoch, Versioned: true}
	err = s.node.Do(func() error {
		device, err := net.InterfaceByName(fabric.Device)
		if err != nil {
			return fmt.Errorf("find device %s of %s: %w", fabric.Device, s.node.Name, err)
		}
		attached, err = f.Attach(device.Index)
		return err
	})
	return attached, err
}

// patience is how long a process has to say that it is ready.
const patience = 10 * time.Second

// process is a coordinator's.
type process struct{ command *exec.Cmd }

// startProcess starts a program at a node, and returns when it serves.
func startProcess(n *fabric.Node, path string, args []string) (io.Closer, error) {
	command := exec.Command(path, args...)
	ready := func(line string) bool { return strings.Contains(line, "ready") }
	if err := bench.StartReady(command, n.Start, ready, patience); err != nil {
		return nil, err
	}
	return &process{command}, nil
}

func (p *process) Close() error { return bench.End(p.command) }

// Contenders are those of the contracted ratios: Dalio, with an object to load in place
// of its data plane if that is not empty, the first coordinator in user space, and the
// ideal. The executable is the dalio command.
func Contenders(executable, object string, programs bench.Programs) []Contender {
	c := programs.Coordinators()[0]
	return []Contender{Dalio{Executable: executable, Object: object}, Sockets{Label: c.Label, Path: c.Path, Args: c.Args}, Ideal{}}
}
