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
	for i, n := range after.Actions {
		if n != before.Actions[i] {
			o.Action = actionNames[i]
		}
	}
	for i, n := range after.Drops {
		if n != before.Drops[i] {
			o.Reason = protocol.Reason(i)
		}
	}
	if (o.Verdict == protocol.Drop) != (o.Reason != protocol.NotDropped) {
		return o, 0, fmt.Errorf("verdict %v, but the reason counted is %v", o.Verdict, o.Reason)
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
	switch verdict {
	case xdpPass:
		o.Verdict = protocol.Pass
	case xdpDrop:
		o.Verdict = protocol.Drop
		return o, 0, nil
	case xdpTransmit:
		o.Verdict, egress = protocol.Transmit, ingress
	case xdpRedirect:
		o.Verdict = protocol.Multicast
		if out.Data < 8 {
			return o, 0, fmt.Errorf("redirect with %d bytes of metadata", out.Data)
		}
		o.Targets = binary.NativeEndian.Uint16(run.DataOut[4:])
		if o.Targets == 0 {
			o.Verdict, egress = protocol.Transmit, int(binary.NativeEndian.Uint32(run.DataOut))
		}
	default:
		return o, 0, fmt.Errorf("coordinator returned %d, no verdict of Dalio", verdict)
	}
	o.Frame = run.DataOut[out.Data:]
	return o, egress, nil
}
