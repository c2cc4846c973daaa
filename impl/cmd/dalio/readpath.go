// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"dalio/bpf"
	"dalio/bpf/reader"
)

// predecessorTimeout is how long the program of an earlier process may stay.
const predecessorTimeout = 10 * time.Second

// readPathOptions says whether reads are answered in the kernel, and which.
type readPathOptions struct {
	mode     string
	recorded bool
	reader.Options
}

func (o *readPathOptions) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.mode, "kernel-reads", "auto", "answer reads in the kernel: auto (where the device can run the program, and is no veth), try (veth, too), on (or do not start) or off")
	flags.IntVar(&o.Keys, "kernel-keys", reader.DefaultKeys, "keys that the kernel can answer for, rounded up to a power of two")
	flags.IntVar(&o.Room, "kernel-room", reader.DefaultRoom, "bytes that a key and its value may have together for the kernel to answer")
}

// check also settles that a replica which records its events answers all reads
// itself: the program records none.
func (o *readPathOptions) check(recorded bool) error {
	if !slices.Contains([]string{"auto", "try", "on", "off"}, o.mode) {
		return fmt.Errorf("--kernel-reads=%s: want auto, try, on or off", o.mode)
	}
	if recorded && o.mode == "on" {
		return errors.New("--kernel-reads=on with --events: what the kernel answers is not in the event trace")
	}
	o.recorded = recorded
	return nil
}

// open attaches the read path of the replica that listens on an address, or returns
// nil if the process is to answer all reads. It waits until that of an earlier process
// is gone.
func (o *readPathOptions) open(ctx context.Context, listen string, log *slog.Logger) (*reader.Reader, error) {
	address, err := netip.ParseAddrPort(listen)
	if err != nil {
		return nil, err
	}
	o.Address = address
	r, err := o.attach(ctx)
	switch {
	case errors.Is(err, reader.ErrPredecessor):
		return nil, err
	case o.mode == "on" && err != nil:
		return nil, fmt.Errorf("--kernel-reads=on: %w", err)
	case o.mode != "off" && o.recorded:
		log.Info("reads are answered by the process alone", "because", "its events are recorded with --events")
	case o.mode == "off":
		log.Info("reads are answered by the process alone", "because", "--kernel-reads=off")
	case err != nil:
		log.Warn("reads are answered by the process alone, which costs more", "because", err)
	default:
		log.Info("reads are answered in the kernel", "keys", r.Options().Keys, "room", r.Options().Room, "bytes", r.Size())
	}
	return r, nil
}

func (o *readPathOptions) attach(ctx context.Context) (*reader.Reader, error) {
	device, err := reader.DeviceOf(o.Address.Addr())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, predecessorTimeout)
	defer cancel()
	if err := reader.AwaitEnd(ctx, device, o.Address); err != nil || o.mode == "off" || o.recorded {
		return nil, err
	}
	if veth, err := bpf.IsVeth(device.Index); err != nil || veth && o.mode == "auto" {
		return nil, errors.Join(err, fmt.Errorf("device %s is a veth, and answers are lost if its peer runs no XDP program: --kernel-reads=try if it does", device.Name))
	}
	copy(o.MAC[:], device.HardwareAddr)
	r, err := reader.Load(o.Options)
	if err != nil {
		return nil, err
	}
	if err := r.Attach(device.Index); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}
