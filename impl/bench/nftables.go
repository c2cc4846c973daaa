// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"dalio/bpf"
	"dalio/protocol"
)

// NFTables has the kernel's packet filter balance, by address translation: the first frame
// of a client, by address and port, is sent to the next replica in turn and those after it
// to the same, in the coordinator's name, so that answers come back through it. What is
// measured is therefore how known flows are forwarded.
type NFTables struct{}

// table is the name of its table in a site's namespace.
const table = "dalio-bench"

// Name implements Contender.
func (NFTables) Name() string { return "nftables" }

// Knows implements Contender.
func (NFTables) Knows() Knowledge { return Nothing }

// Version implements Balancer.
func (NFTables) Version() (string, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "", fmt.Errorf("find the version of nftables: %w", err)
	}
	return "nftables of Linux " + unix.ByteSliceToString(name.Release[:]), nil
}

// Start implements Contender.
func (NFTables) Start(site *Site) (Running, error) {
	r := &runningNFTables{site: site}
	err := site.Do(func() (err error) {
		// Without an XDP program a veth device has no thread to receive for it.
		if r.pass, err = bpf.AttachPass(site.Coordinator); err != nil {
			return err
		}
		if err := letForward(site.coordinatorName); err != nil {
			return err
		}
		return translate(site.Settings)
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("balance with nftables: %w", err), r.Close())
	}
	return r, nil
}

// letForward has the kernel forward what is not for itself, in the namespace of the calling
// thread. It would tell a sender that the way by the same device is shorter without it.
func letForward(device string) error {
	for name, value := range map[string]string{"ip_forward": "1", "conf/all/send_redirects": "0",
		filepath.Join("conf", device, "send_redirects"): "0"} {
		if err := os.WriteFile(filepath.Join("/proc/sys/net/ipv4", name), []byte(value), 0); err != nil {
			return fmt.Errorf("have the kernel forward: %w", err)
		}
	}
	return nil
}

// translate makes the table. In nft's words:
//
//	chain arriving {
//		type nat hook prerouting priority dstnat
//		ip daddr COORDINATOR udp dport PORT dnat to numgen inc mod N map { 0 : REPLICA, ... }
//	}
//	chain leaving {
//		type nat hook postrouting priority srcnat
//		snat to COORDINATOR
//	}
func translate(s Settings) error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	t := c.AddTable(&nftables.Table{Name: table, Family: nftables.TableFamilyIPv4})
	chain := func(name string, hook *nftables.ChainHook, priority *nftables.ChainPriority, does ...expr.Any) {
		made := c.AddChain(&nftables.Chain{Name: name, Table: t, Type: nftables.ChainTypeNAT, Hooknum: hook, Priority: priority})
		c.AddRule(&nftables.Rule{Table: t, Chain: made, Exprs: does})
	}
	replicas := &nftables.Set{Table: t, Anonymous: true, Constant: true, IsMap: true,
		KeyType: nftables.TypeInteger, DataType: nftables.TypeIPAddr, KeyByteOrder: binaryutil.NativeEndian}
	var elements []nftables.SetElement
	for i, m := range s.members() {
		elements = append(elements, nftables.SetElement{Key: binaryutil.NativeEndian.PutUint32(uint32(i)), Val: m.Address.IP[:]})
	}
	if err := c.AddSet(replicas, elements); err != nil {
		return err
	}
	at := self()
	const toAddress, toPort, length = 16, 2, 4 // Where IP and UDP have the receiver's.
	chain("arriving", nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest,
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equals([]byte{unix.IPPROTO_UDP}),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: toAddress, Len: length}, equals(at.IP[:]),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: toPort, Len: 2},
		equals(binary.BigEndian.AppendUint16(nil, at.Port)),
		&expr.Numgen{Register: 1, Modulus: uint32(len(elements)), Type: unix.NFT_NG_INCREMENTAL},
		&expr.Lookup{SourceRegister: 1, DestRegister: 1, IsDestRegSet: true, SetName: replicas.Name, SetID: replicas.ID},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1})
	chain("leaving", nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource, sourceIs(at)...)
	return c.Flush()
}

func equals(value []byte) expr.Any { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: value} }

// sourceIs has a flow's frames leave in the name of another.
func sourceIs(a protocol.Address) []expr.Any {
	return []expr.Any{&expr.Immediate{Register: 1, Data: a.IP[:]},
		&expr.NAT{Type: expr.NATTypeSourceNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1}}
}

// removeTable removes the table of the calling thread's namespace, if there is one.
func removeTable() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	// What is not there can't be removed; to add what is there does nothing.
	c.DelTable(c.AddTable(&nftables.Table{Name: table, Family: nftables.TableFamilyIPv4}))
	return c.Flush()
}

type runningNFTables struct {
	site *Site
	pass io.Closer
}

func (r *runningNFTables) Processes() []int { return nil }

func (r *runningNFTables) Close() error {
	err := r.site.Do(removeTable)
	if r.pass != nil {
		err = errors.Join(err, r.pass.Close())
	}
	return err
}
