// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf"

	"dalio/protocol"
)

// What XDP programs return.
const (
	xdpDrop     = 1
	xdpPass     = 2
	xdpTransmit = 3
	xdpRedirect = 4
)

// minFrame is what the kernel wants at least to run a program on: no more than
// an Ethernet header.
const minFrame = 14

// xdpContext is struct xdp_md, as BPF_PROG_TEST_RUN takes and returns it.
type xdpContext struct {
	Data, DataEnd, DataMeta                     uint32
	IngressIfindex, ReceiveQueue, EgressIfindex uint32
}

// Run runs the program on one frame, without a device, and returns what it made
// of the frame. Nothing is sent: a multicast's frame is as it was broadcast,
// before its copies were addressed.
func (d *DataPlane) Run(frame []byte) (protocol.Verdict, []byte, error) {
	o, _, err := d.run(frame, 0)
	return o.Verdict, o.Frame, err
}

// HandleFrame is Run with all that can be learnt of the outcome: the reason of a
// drop, the action, and the targets of a multicast. Clones is not set. It looks
// at the counters, so nothing else may run the program meanwhile.
func (d *DataPlane) HandleFrame(frame []byte) (protocol.Outcome, error) {
	o, _, err := d.handleFrom(0, frame)
	return o, err
}

// handleFrom is HandleFrame for a frame that comes in by a device, which must run
// XDP; 0 stands for none. It also returns the device by which a frame for one
// receiver leaves.
func (d *DataPlane) handleFrom(ingress int, frame []byte) (protocol.Outcome, int, error) {
	before, err := d.readCounters()
	if err != nil {
		return protocol.Outcome{}, 0, err
	}
	o, egress, err := d.run(frame, ingress)
	if err != nil {
		return o, 0, err
	}
	after, err := d.readCounters()
	if err != nil {
		return o, 0, err
	}
	if err := after.tell(&before, &o); err != nil {
		return o, 0, err
	}
	return o, egress, nil
}

func (d *DataPlane) run(frame []byte, ingress int) (o protocol.Outcome, egress int, err error) {
	in := xdpContext{DataEnd: uint32(len(frame)), IngressIfindex: uint32(ingress)}
	var out xdpContext
	run := &ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+64), Context: in, ContextOut: &out}
	verdict, err := d.objects.Coordinator.Run(run)
	if err != nil {
		return o, 0, fmt.Errorf("run coordinator on a frame of %d bytes (the kernel wants %d at least): %w",
			len(frame), minFrame, err)
	}
	if o, err = outcomeOf(verdict, out.Data, run.DataOut); err != nil {
		return o, 0, err
	}
	switch {
	case o.Verdict == protocol.Transmit:
		egress = ingress
	case o.Verdict == protocol.Multicast && o.Targets == 0:
		o.Verdict, egress = protocol.Transmit, int(binary.NativeEndian.Uint32(run.DataOut))
	}
	return o, egress, nil
}

// outcomeOf says what the coordinator program, having returned a verdict, made of a
// frame: out is what it left, the frame after that many bytes of metadata.
func outcomeOf(verdict, metadata uint32, out []byte) (o protocol.Outcome, err error) {
	switch verdict {
	case xdpPass:
		o.Verdict = protocol.Pass
	case xdpDrop:
		o.Verdict = protocol.Drop
		return o, nil
	case xdpTransmit:
		o.Verdict = protocol.Transmit
	case xdpRedirect:
		if metadata < metadataSize || len(out) < int(metadata) {
			return o, fmt.Errorf("redirect of %d bytes, %d of them metadata", len(out), metadata)
		}
		o.Verdict, o.Targets = protocol.Multicast, binary.NativeEndian.Uint16(out[4:])
	default:
		return o, fmt.Errorf("coordinator returned %d, no verdict of Dalio", verdict)
	}
	o.Frame = out[metadata:]
	return o, nil
}
