// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// These tests hold the kernel and the library to what a control plane relies on
// whose predecessor was killed: a pinned data plane goes on, and all of its parts
// can be had back.

// holdPins is set in the environment of a test binary that is to attach and pin a
// data plane, and then to wait to be killed: "DIRECTORY IFINDEX".
const holdPins = "DALIO_TEST_HOLD_PINS"

// holdPinned is what such a test binary does. It ends when nobody waits for it.
func holdPinned(arguments string) error {
	dir, number, _ := strings.Cut(arguments, " ")
	ifindex, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	dp, err := Load(Options{Self: self, MaxSessions: testSlots, SessionTTL: testTTL})
	if err != nil {
		return err
	}
	err = errors.Join(dp.SetEpoch(1), dp.SetMembers(replica(0), replica(1)), dp.SetServing(0b11), dp.Attach(ifindex),
		pinAll(dp, dir))
	if err != nil {
		return err
	}
	fmt.Println("pinned")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// pinName is a file's name for a map: those of data sections have dots, which the
// kernel does not take.
func pinName(name string) string { return "map_" + strings.ReplaceAll(name, ".", "_") }

// pinAll pins everything that a successor needs. The maps of variables have no
// other handle than the program, which names all that it uses.
func pinAll(d *DataPlane, dir string) error {
	info, err := d.objects.Coordinator.Info()
	if err != nil {
		return err
	}
	ids, _ := info.MapIDs()
	for _, id := range ids {
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			return err
		}
		defer m.Close()
		details, err := m.Info()
		if err != nil {
			return err
		}
		if err := m.Pin(filepath.Join(dir, pinName(details.Name))); err != nil {
			return err
		}
	}
	return errors.Join(d.objects.Coordinator.Pin(filepath.Join(dir, "coordinator")),
		d.objects.Clone.Pin(filepath.Join(dir, "clone")), d.links[0].Pin(filepath.Join(dir, "link")))
}

// adoptPins makes a data plane of what is pinned, programs included: nothing is
// loaded but the maps that the programs do not use. It refuses pins that are not of
// the object that the options name.
func adoptPins(dir string, o Options) (*DataPlane, error) {
	o = o.withDefaults()
	spec, err := readObject(o.Object, o.SeveralDevices)
	if err != nil {
		return nil, err
	}
	if err := configure(spec, o); err != nil {
		return nil, err
	}
	d := &DataPlane{options: o}
	if err := d.adoptPrograms(dir, spec); err != nil {
		return nil, errors.Join(err, d.objects.coordinatorPrograms.Close())
	}
	if err := d.adoptMaps(dir, spec); err != nil {
		return nil, errors.Join(err, d.objects.coordinatorPrograms.Close())
	}
	if err := d.adoptAttachment(dir); err != nil {
		return nil, errors.Join(err, d.objects.Close())
	}
	return d, nil
}

func (d *DataPlane) adoptPrograms(dir string, spec *ebpf.CollectionSpec) (err error) {
	for name, program := range map[string]**ebpf.Program{"coordinator": &d.objects.Coordinator, "clone": &d.objects.Clone} {
		if *program, err = ebpf.LoadPinnedProgram(filepath.Join(dir, name), nil); err != nil {
			return err
		}
		info, err := (*program).Info()
		if err != nil {
			return err
		}
		if err := spec.Programs[name].Compatible(info); err != nil {
			return fmt.Errorf("pinned program %s: %w", name, err)
		}
	}
	return nil
}

func (d *DataPlane) adoptMaps(dir string, spec *ebpf.CollectionSpec) error {
	pinned := map[string]*ebpf.Map{}
	for name := range spec.Maps {
		m, err := ebpf.LoadPinnedMap(filepath.Join(dir, pinName(name)), nil)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		defer m.Close()
		pinned[name] = m
	}
	spec.Programs = nil
	rest, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: pinned})
	if err != nil {
		return err
	}
	defer rest.Close()
	return errors.Join(rest.Assign(&d.objects.coordinatorMaps), rest.Assign(&d.objects.coordinatorVariables))
}

// adoptAttachment reads back what the predecessor had in its memory alone.
func (d *DataPlane) adoptAttachment(dir string) error {
	l, err := link.LoadPinnedLink(filepath.Join(dir, "link"), nil)
	if err != nil {
		return err
	}
	var ifindex uint32
	err = errors.Join(d.objects.Memberships.Get(&d.memberships), d.objects.Active.Get(&d.active),
		d.objects.EgressIfindex.Get(&ifindex))
	if err != nil {
		return errors.Join(err, l.Close())
	}
	d.links, d.devices = []link.Link{l}, []int{int(ifindex)}
	var key uint32
	var value [8]byte
	entries := d.objects.Group.Iterate()
	for entries.Next(&key, &value) {
		d.group[key] = int(binary.NativeEndian.Uint32(value[:]))
	}
	return entries.Err()
}

// holder is a process that has a data plane pinned.
type holder struct {
	cmd   *exec.Cmd
	input io.Closer
}

// mountPins enters a mount namespace, which goes away with the calling goroutine's
// thread, and mounts a file system for pins there.
func mountPins(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, err := range []error{
		unix.Unshare(unix.CLONE_NEWNS),
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("bpf", dir, "bpf", 0, ""),
	} {
		if err != nil {
			t.Fatalf("mount a file system for pins (needs root): %v", err)
		}
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount the pins: %v", err)
		}
	})
	// The kernel has files of its own at the top.
	pins := filepath.Join(dir, "shard")
	if err := os.Mkdir(pins, 0o700); err != nil {
		t.Fatal(err)
	}
	return pins
}

// hold starts a process that pins a data plane, and waits until it has.
func hold(t *testing.T, dir string, ifindex int) *holder {
	t.Helper()
	h := &holder{cmd: exec.Command("/proc/self/exe")}
	h.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", holdPins, dir, ifindex))
	h.cmd.Stderr = os.Stderr
	input, err := h.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := h.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h.input = input
	t.Cleanup(h.kill)
	timer := time.AfterFunc(20*time.Second, func() { h.cmd.Process.Kill() })
	defer timer.Stop()
	if line, err := bufio.NewReader(output).ReadString('\n'); line != "pinned\n" {
		t.Fatalf("the process that pins a data plane said %q: %v", line, err)
	}
	return h
}

// kill ends the process as kill -9 does, and waits for its end.
func (h *holder) kill() {
	if h.cmd.ProcessState == nil {
		h.cmd.Process.Kill()
		h.cmd.Wait()
		h.input.Close()
	}
}

// unpin removes all pins. What nobody has open then goes away.
func unpin(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no pins in %s: %v", dir, err)
	}
	for _, file := range append(files, dir) {
		if err := os.Remove(file); err != nil {
			t.Error(err)
		}
	}
}

// letGo closes all descriptors of a data plane, as the end of its process does.
// Close would empty the multicast group, which a pinned data plane still needs.
func letGo(t *testing.T, d *DataPlane) {
	t.Helper()
	for _, l := range d.links {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	d.links = nil
	if err := d.objects.Close(); err != nil {
		t.Error(err)
	}
}

// expectDetached waits until a device has no XDP program.
func expectDetached(t *testing.T, ifindex int) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		device, err := netlink.LinkByIndex(ifindex)
		if err != nil {
			t.Fatal(err)
		}
		if xdp := device.Attrs().Xdp; xdp == nil || !xdp.Attached {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the device still has an XDP program")
		}
	}
}
