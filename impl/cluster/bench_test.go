// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"dalio/bpf"
	"dalio/impl/client"
	"dalio/impl/internal/datagram"
	"dalio/impl/load"
	"dalio/protocol"
	"dalio/traces"
)

const (
	benchRounds = 9
	benchKeys   = 1000
	// benchWindow is how many reads are on their way, less than a veth ring holds.
	benchWindow = 64
)

// threadTime adds up the processor time of threads, in nanoseconds.
func threadTime(b *testing.B, threads []string) (sum float64) {
	b.Helper()
	for _, thread := range threads {
		text, err := os.ReadFile(filepath.Join(thread, "schedstat"))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		fields := strings.Fields(string(text))
		if err != nil || len(fields) == 0 {
			b.Fatalf("%s: %v", thread, err)
		}
		ns, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			b.Fatal(err)
		}
		sum += ns
	}
	return sum
}

func threadsOf(b *testing.B, p *Process) []string {
	b.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", p.PID))
	if err != nil || len(threads) == 0 {
		b.Fatalf("threads of %s: %v", p.Name, err)
	}
	return threads
}

// receivers returns the kernel's threads that receive for devices named eth0.
func receivers(b *testing.B) (threads []string) {
	b.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		b.Fatal(err)
	}
	for _, path := range all {
		if name, err := os.ReadFile(path); err == nil && strings.HasPrefix(string(name), "napi/eth0-") {
			threads = append(threads, filepath.Dir(path))
		}
	}
	return threads
}

// receiveInThread has the node's device receive in a kernel thread of its own, whose
// time can be read.
func receiveInThread(b *testing.B, p *Process) []string {
	b.Helper()
	before := receivers(b)
	out, err := exec.Command("ip", "netns", "exec", p.Node.NetNS(), "sh", "-c", "echo 1 >/sys/class/net/eth0/threaded").CombinedOutput()
	if err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return slices.DeleteFunc(receivers(b), func(thread string) bool { return slices.Contains(before, thread) })
}

// station sends messages straight to a replica, as a coordinator would.
type station struct {
	conn    *datagram.Conn
	in, out *datagram.Batch
	to      *Process
	next    int
}

func newStation(b *testing.B, c *Cluster) *station {
	b.Helper()
	socket, err := c.Client.ListenUDP(0)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { socket.Close() })
	raw, err := socket.SyscallConn()
	if err == nil {
		// A coordinator leaves the checksum out.
		err = errors.Join(raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1)
		}), err, socket.SetReadDeadline(time.Now().Add(time.Minute)))
	}
	if err != nil {
		b.Fatal(err)
	}
	return &station{conn: datagram.NewConn(socket), in: datagram.NewBatch(benchWindow), out: datagram.NewBatch(benchWindow), to: c.Replicas[0]}
}

// exchange sends a window of messages and waits for as many answers.
func (s *station) exchange(b *testing.B, kind protocol.MessageType) {
	b.Helper()
	s.out.Reset()
	for range benchWindow {
		s.next++
		key, value := fmt.Appendf(nil, "key-%08d", s.next%benchKeys), []byte(nil)
		m := protocol.Message{Type: kind, Epoch: 1, Replica: ReplicaID(0), Key: key, KeyHash: protocol.KeyHash(key), Request: uint64(s.next)}
		if kind == protocol.Write {
			value = make([]byte, 64)
			m.Op, m.Value, m.Version, m.Session, m.Writer = protocol.OpPut, value, protocol.Version{Epoch: 1, Seq: uint64(s.next)}, 1, 1
			m.Digest = protocol.Digest(key, value)
		}
		s.out.Add(&m, addrPort(s.to))
	}
	if sent, err := s.conn.Write(s.out); err != nil || sent != benchWindow {
		b.Fatalf("sent %d of %d: %v", sent, benchWindow, err)
	}
	for got := 0; got < benchWindow; got += s.in.Len() {
		if err := s.conn.Read(s.in); err != nil {
			b.Fatal(err)
		}
	}
}

// side is a shard with its replicas' reads answered in one of the two ways.
type side struct {
	*Cluster
	*station
	threads []string
	clients []load.Client
	// samples by name.
	samples map[string][]float64
}

func newSide(b *testing.B, replicas int, mode string) *side {
	b.Helper()
	c, err := Start(b.Context(), Options{Dir: b.TempDir(), Replicas: replicas, Executable: executable, ReplicaFlags: []string{"--kernel-reads=" + mode}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := c.Close(); err != nil {
			b.Error(err)
		}
	})
	return &side{Cluster: c, samples: map[string][]float64{}}
}

func median(samples []float64) float64 {
	sorted := slices.Sorted(slices.Values(samples))
	return sorted[len(sorted)/2]
}

// compare reports the medians of two sides' samples, and the least, middle and
// greatest ratio of those taken one after the other.
func compare(b *testing.B, name string, over, under *side) {
	var ratios []float64
	for i, x := range over.samples[name] {
		ratios = append(ratios, x/under.samples[name][i])
	}
	b.Logf("%-8s on %.4g, off %.4g; %.3g times (%.3g to %.3g, %d rounds)", name, median(under.samples[name]), median(over.samples[name]),
		median(ratios), slices.Min(ratios), slices.Max(ratios), len(ratios))
}

// passAll has the node's device run a program that leaves every frame to the host, so
// that it, too, can receive in a thread.
func passAll(b *testing.B, p *Process) {
	b.Helper()
	err := p.Node.Do(func() error {
		device, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		pass, err := bpf.AttachPass(device.Index)
		if err == nil {
			b.Cleanup(func() { pass.Close() })
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}

// programTime returns how long a run of the program on the node's device takes, in
// nanoseconds, while something has it run.
func programTime(b *testing.B, p *Process, do func()) (ns float64) {
	b.Helper()
	err := p.Node.Do(func() error {
		device, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		program, err := ebpf.NewProgramFromID(ebpf.ProgramID(device.Attrs().Xdp.ProgId))
		if err != nil {
			return err
		}
		defer program.Close()
		counting, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
		if err != nil {
			return err
		}
		defer counting.Close()
		before, err := program.Stats()
		if err != nil {
			return err
		}
		do()
		after, err := program.Stats()
		ns = float64(after.Runtime-before.Runtime) / float64(after.RunCount-before.RunCount)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return ns
}

// BenchmarkReadAtReplica measures a replica's processor time for a read and for a
// write, in nanoseconds: that of its process, and of the thread that receives for its
// device.
func BenchmarkReadAtReplica(b *testing.B) {
	on, off := newSide(b, 1, "on"), newSide(b, 1, "off")
	for _, s := range []*side{on, off} {
		s.station = newStation(b, s.Cluster)
		for range benchKeys/benchWindow + 1 {
			s.exchange(b, protocol.Write)
		}
		if s == off {
			passAll(b, s.Replicas[0])
		}
		s.threads = receiveInThread(b, s.Replicas[0])
		if len(s.threads) == 0 {
			b.Fatal("no thread receives for the device")
		}
		s.exchange(b, protocol.Read)
		s.threads = append(s.threads, threadsOf(b, s.Replicas[0])...)
	}
	const windows = 600
	for range benchRounds {
		for _, s := range []*side{on, off} {
			for name, kind := range map[string]protocol.MessageType{"read": protocol.Read, "write": protocol.Write} {
				before := threadTime(b, s.threads)
				for range windows {
					s.exchange(b, kind)
				}
				s.samples[name] = append(s.samples[name], (threadTime(b, s.threads)-before)/(windows*benchWindow))
			}
		}
	}
	compare(b, "read", off, on)
	compare(b, "write", off, on)
	b.Logf("the program takes %.0f ns for a read", programTime(b, on.Replicas[0], func() {
		for range windows {
			on.exchange(b, protocol.Read)
		}
	}))
}

// BenchmarkReadPath measures a whole shard of three replicas, with clients in Go on the
// same processors: with 64 clients the nanoseconds that pass for an operation, of
// several mixes; with one alone the median latency of its reads.
func BenchmarkReadPath(b *testing.B) {
	on, off := newSide(b, 3, "on"), newSide(b, 3, "off")
	for _, s := range []*side{on, off} {
		for range 2 {
			conn, err := s.Client.ListenUDP(0)
			if err != nil {
				b.Fatal(err)
			}
			c, err := client.Dial(b.Context(), s.Address, client.Options{Conn: conn})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { c.Close() })
			for range 32 {
				s.clients = append(s.clients, load.Shard(c))
			}
		}
	}
	run := func(s *side, name string, writes float64, lasts time.Duration) {
		w := load.Workload{Keys: benchKeys, Skew: 0.99, Writes: writes, ValueSize: 64, Seed: 1}
		report, err := load.Run(b.Context(), w, load.Options{Clients: s.clients, Longest: lasts, Deadline: 5 * time.Second})
		if err != nil {
			b.Fatal(err)
		}
		done := report.Outcomes[traces.Read][traces.OK] + report.Outcomes[traces.Write][traces.OK]
		s.samples[name] = append(s.samples[name], report.Elapsed.Seconds()*1e9/float64(done))
	}
	alone := func(s *side) {
		w := load.Workload{Keys: benchKeys, ValueSize: 64, Seed: 1}
		report, err := load.Run(b.Context(), w, load.Options{Clients: s.clients[:1], Longest: time.Second / 2, Deadline: 5 * time.Second})
		if err != nil {
			b.Fatal(err)
		}
		s.samples["latency"] = append(s.samples["latency"], float64(report.Latency[traces.Read].ValueAtQuantile(50)))
	}
	mixes := map[string]float64{"reads": 0, "5% writes": 0.05, "half": 0.5}
	for _, s := range []*side{on, off} {
		run(s, "fill", 1, time.Second)
	}
	for range benchRounds {
		for name, writes := range mixes {
			for _, s := range []*side{on, off} {
				run(s, name, writes, time.Second)
			}
		}
		alone(on)
		alone(off)
	}
	for name := range on.samples {
		if name != "fill" {
			compare(b, name, off, on)
		}
	}
}
