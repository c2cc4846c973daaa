// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"github.com/spf13/cobra"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"dalio/bpf"
	"dalio/protocol"
)

// finding is what one examination found.
type finding struct {
	subject string
	// err is nil if all is well; its text says what to do.
	err    error
	detail string
	// advice findings do not keep Dalio from working.
	advice bool
}

func newDoctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check whether this machine can run Dalio",
		Long: "Examine the kernel, the privileges of this process and the data plane, and say what is missing.\n" +
			"Exit status: 0 all is well; 2 something is missing.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withStatus(exitUsage, printFindings(cmd.OutOrStdout(), examine()))
		},
	}
}

func printFindings(w io.Writer, findings []finding) error {
	missing := 0
	for _, f := range findings {
		verdict, text := "ok", f.detail
		switch {
		case f.err != nil && f.advice:
			verdict, text = "note", f.err.Error()
		case f.err != nil:
			verdict, text = "MISSING", f.err.Error()
			missing++
		}
		first, _, _ := strings.Cut(text, "\n")
		fmt.Fprintf(w, "%-8s %-18s %s\n", verdict, f.subject, first)
	}
	if missing > 0 {
		return fmt.Errorf("%d of %d checks failed", missing, len(findings))
	}
	return nil
}

func examine() []finding {
	return []finding{
		examineKernel(),
		examineCapability("CAP_NET_ADMIN", unix.CAP_NET_ADMIN, "to attach to devices"),
		examineCapability("CAP_BPF", unix.CAP_BPF, "to load programs"),
		examineCapability("CAP_PERFMON", unix.CAP_PERFMON, "to load programs"),
		examineCapability("CAP_SYS_ADMIN", unix.CAP_SYS_ADMIN, "for the network namespaces of dalio up; a coordinator of its own does without"),
		{subject: "XDP programs", err: features.HaveProgramType(ebpf.XDP), detail: "the kernel has them"},
		{subject: "multicast maps", err: features.HaveMapType(ebpf.DevMapHash), detail: "the kernel has DEVMAP_HASH"},
		examineDataPlane(),
		examineVeth(),
		examinePrefetch(),
		examineSetting("BPF JIT", "/proc/sys/net/core/bpf_jit_enable", func(v string) bool { return v != "0" },
			"programs are interpreted, and slow: sysctl -w net.core.bpf_jit_enable=1"),
		examineSetting("unprivileged BPF", "/proc/sys/kernel/unprivileged_bpf_disabled", func(v string) bool { return v != "0" },
			"any user may load BPF programs: sysctl -w kernel.unprivileged_bpf_disabled=2"),
	}
}

func examineKernel() finding {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return finding{subject: "kernel", err: err}
	}
	release := unix.ByteSliceToString(name.Release[:])
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err == nil && major*1000+minor < 5014 {
		return finding{subject: "kernel", err: fmt.Errorf("this is Linux %s, and 5.14 or newer is needed", release)}
	}
	return finding{subject: "kernel", detail: fmt.Sprintf("Linux %s on %s, %d processors", release, runtime.GOARCH, runtime.NumCPU())}
}

func examineCapability(name string, capability int, purpose string) finding {
	f := finding{subject: name, detail: "this process has it"}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		f.err = err
	} else if data[capability/32].Effective&(1<<(capability%32)) == 0 {
		f.err = fmt.Errorf("needed %s: run as root", purpose)
	}
	return f
}

// examineDataPlane has the verifier look at the programs that are built in.
func examineDataPlane() finding {
	f := finding{subject: "data plane", detail: "the kernel's verifier accepts it"}
	plane, err := bpf.Load(planeOptions())
	if err != nil {
		f.err = err
		return f
	}
	f.err = plane.Close()
	return f
}

func planeOptions() bpf.Options {
	return bpf.Options{MaxSessions: 16, Self: protocol.Address{IP: [4]byte{192, 0, 2, 1}, Port: protocol.Port, MAC: [6]byte{2, 0, 0, 0, 0, 1}}}
}

// examineVeth attaches a program to a veth device.
func examineVeth() finding {
	return finding{subject: "native XDP on veth", detail: "a program can be attached", err: onVeth(func(ifindex int) error {
		program, err := bpf.AttachPass(ifindex)
		if err != nil {
			return err
		}
		return program.Close()
	})}
}

// examinePrefetch attaches the data plane to a veth device with the program that fetches
// frames ahead in front.
func examinePrefetch() finding {
	return finding{subject: "prefetch on veth", detail: "frames can be fetched ahead", advice: true, err: onVeth(func(ifindex int) error {
		o := planeOptions()
		o.Prefetch = bpf.PrefetchOn
		plane, err := bpf.Load(o)
		if err != nil {
			return err
		}
		return errors.Join(plane.Attach(ifindex), plane.Close())
	})}
}

// onVeth calls a function with a veth device in a namespace of its own, which goes with
// its thread.
func onVeth(try func(ifindex int) error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // Never unlocked: the thread ends, and the namespace with it.
		ifindex, err := makeVeth()
		if err == nil {
			err = try(ifindex)
		}
		result <- err
	}()
	return <-result
}

func makeVeth() (ifindex int, err error) {
	space, err := netns.New()
	if err != nil {
		return 0, fmt.Errorf("make a network namespace: %w", err)
	}
	defer space.Close()
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "doctor0"}, PeerName: "doctor1"}
	if err := netlink.LinkAdd(veth); err != nil {
		return 0, fmt.Errorf("make a veth pair: %w", err)
	}
	device, err := netlink.LinkByName("doctor0")
	if err != nil {
		return 0, fmt.Errorf("find the veth device: %w", err)
	}
	return device.Attrs().Index, nil
}

func examineSetting(subject, path string, good func(string) bool, advice string) finding {
	f := finding{subject: subject, advice: true}
	b, err := os.ReadFile(path)
	value := strings.TrimSpace(string(b))
	switch {
	case err != nil:
		f.err = err
	case !good(value):
		f.err = errors.New(advice)
	}
	f.detail = "set to " + value
	return f
}
