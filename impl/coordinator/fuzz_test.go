// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"strings"
	"testing"

	"dalio/protocol"
)

// FuzzOptions reads a coordinator's configuration from text: none may make it
// panic, and what it accepts is fit for the data plane.
func FuzzOptions(f *testing.F) {
	f.Add("eth0", "10.0.0.1:7411", "16=10.0.0.2:7411 17=10.0.0.3:7411", uint32(1))
	f.Add("eth0,eth1", "10.0.0.1:7411", "16=10.0.0.2:7411 32=10.0.0.3:7411", uint32(1))
	f.Add("", "[::1]:7411", "16=[fe80::1%eth0]:3", uint32(0))
	// Each of these is refused for its own cause, if it is refused at all.
	for _, replica := range []string{"1=10.0.0.2:2", "16=10.0.0.1:2", "16=224.0.0.1:2", "16=0.0.0.0:2", "16=10.0.0.2:0",
		"4294967295=10.0.0.2:2", "4294967296=10.0.0.2:2", "16=10.0.0.2", "10.0.0.2:2"} {
		f.Add("lo", "10.0.0.1:1", replica, uint32(1))
	}
	f.Fuzz(func(t *testing.T, devices, listen, replicas string, epoch uint32) {
		o := Options{Devices: strings.Split(devices, ","), Epoch: protocol.Epoch(epoch)}
		o.Listen, _ = netip.ParseAddrPort(listen) // No address is to be refused as well.
		for _, text := range strings.Fields(replicas) {
			r, err := ParseReplica(text)
			if err != nil {
				if !strings.Contains(err.Error(), "want ID=IP:PORT") {
					t.Errorf("%q is refused with %q, which does not say what is wanted", text, err)
				}
				return
			}
			if again, err := ParseReplica(fmt.Sprintf("%d=%v", r.ID, r.Address)); err != nil || again != r {
				t.Errorf("%q is read as %+v, and that as %+v, %v", text, r, again, err)
			}
			o.Replicas = append(o.Replicas, r)
		}
		err := o.check()
		if err != nil && !errors.Is(err, ErrConfiguration) {
			t.Errorf("%+v is refused with %q, which is no ErrConfiguration", o, err)
		}
		if unfit := unfitness(o); (err == nil) != (unfit == "") {
			t.Errorf("%+v is refused with %v, but is unfit because %q", o, err, unfit)
		}
	})
}

// unfitness says for what the data plane could not do with the options, "" for
// nothing. It looks at sets where the check looks at one replica after the other.
func unfitness(o Options) string {
	var indices uint16
	hosts, addresses := map[[4]byte]bool{}, map[string]bool{}
	for _, r := range o.Replicas {
		if !r.Address.Addr().Is4() {
			return "a replica has no IPv4 address"
		}
		indices |= 1 << (r.ID % 16)
		hosts[r.Address.Addr().As4()] = true
		addresses[r.Address.String()] = true
		if r.ID < 16 || r.Address.Port() == 0 {
			return "a replica has no generation or no port"
		}
	}
	nobodys := func(ip [4]byte) bool { return ip[0] >= 224 && ip[0] < 240 || ip == [4]byte{} }
	for ip := range hosts {
		if nobodys(ip) {
			return "a replica has no address of its own"
		}
	}
	switch {
	case len(o.Replicas) == 0 || bits.OnesCount16(indices) != len(o.Replicas) || len(addresses) != len(o.Replicas):
		return "replicas can't be told apart"
	case !o.Listen.Addr().Is4() || nobodys(o.Listen.Addr().As4()) || o.Listen.Port() == 0:
		return "the coordinator has no address"
	case hosts[o.Listen.Addr().As4()]:
		return "a replica has the coordinator's address"
	case o.Epoch == 0 || strings.Contains(","+strings.Join(o.Devices, ",")+",", ",,"):
		return "there is no epoch or no device"
	}
	return ""
}
