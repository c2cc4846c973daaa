// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"dalio/impl/client"
	"dalio/impl/coordinator"
)

// FuzzArguments parses command lines, without doing what they ask for: none may
// make the command panic, and a coordinator is started only by one that says where.
func FuzzArguments(f *testing.F) {
	for _, line := range []string{
		"up --dir d --replicas 3", "put --dir=d k v", "get --dir d --timeout 1h k", "status --dir d -o json", "doctor",
		"coordinator --dev eth0 --listen 10.0.0.1:7411 --replica 16=10.0.0.2:7411 --replica 17=10.0.0.3:7411 --epoch 2",
		"coordinator --dev= --listen= --replica=", "coordinator --dev e --listen 10.0.0.1:1 --replica=",
		"replica --id 16 --listen 10.0.0.2:7411 --debug", "put --dir d -- -k -v", "help put", "completion bash", "--help",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		root := newRoot()
		for _, command := range root.Commands() {
			command.RunE = func(cmd *cobra.Command, args []string) error { return examineCommand(t, cmd) }
		}
		root.SetArgs(strings.Fields(line))
		root.SetOut(io.Discard)
		root.SetErr(io.Discard)
		if err := root.Execute(); err != nil && err.Error() == "" {
			t.Errorf("%q is refused without a word", line)
		}
	})
}

// examineCommand stands for running a command whose flags were accepted.
func examineCommand(t *testing.T, cmd *cobra.Command) error {
	if cmd.Name() != "coordinator" {
		return nil
	}
	// GetStringArray would make no replica of an empty one.
	values := func(name string) []string {
		return cmd.Flags().Lookup(name).Value.(interface{ GetSlice() []string }).GetSlice()
	}
	text := func(name string) string { return cmd.Flags().Lookup(name).Value.String() }
	f := coordinatorFlags{listen: text("listen"), admin: text("admin"), replicas: values("replica"), etcd: values("etcd"), etcdDir: text("etcd-dir")}
	var o coordinator.Options
	if err := f.parse(&o); err != nil {
		return err
	}
	fixed := len(f.etcd) == 0 && f.etcdDir == ""
	if !o.Listen.IsValid() || len(o.Replicas)+len(o.Found) != len(f.replicas) || fixed != (len(o.Replicas) > 0) {
		t.Errorf("%+v give %+v", f, o)
	}
	return nil
}

// FuzzState reads state files: one that is accepted leads to an address and to a
// network namespace among those of this machine.
func FuzzState(f *testing.F) {
	f.Add([]byte(`{"ready":true,"coordinator":{"pid":7,"netns":"c","dev":"eth0","address":"10.77.0.1:7411"},` +
		`"replicas":[{"id":16,"pid":8,"netns":"r","address":"10.77.0.11:7411"}],"client":{"netns":"n","address":"10.77.0.100"}}`))
	for _, address := range []string{"localhost:http", "[::1]:7411", "10.77.0.1", ""} {
		f.Add(fmt.Appendf(nil, `{"ready":true,"coordinator":{"address":%q},"client":{"netns":"n"}}`, address))
	}
	f.Add([]byte(`{"ready":true,"coordinator":{"address":"10.77.0.1:7411"},"client":{"netns":"../../proc/1/ns/net"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseShard(data)
		if err != nil {
			return
		}
		var raw map[string]any
		if err := json.Unmarshal(data, &raw); err != nil {
			t.Fatalf("%q is accepted, and is no JSON object: %v", data, err)
		}
		host, _, err := net.SplitHostPort(s.Coordinator.Address)
		if err != nil || net.ParseIP(host).To4() == nil || strings.Contains(s.Client.NetNS, "/") {
			t.Errorf("%q is accepted as %+v", data, s)
		}
	})
}

// FuzzStatus shows statuses that a coordinator may send, whatever they say.
func FuzzStatus(f *testing.F) {
	full := coordinator.Status{Epoch: 1, Members: []coordinator.Member{{ID: 16}},
		Pending: []coordinator.PendingWrite{{Session: 1, Request: 2, Missing: []uint32{16, 17}}, {Missing: []uint32{16}}},
		Drops:   map[string]uint64{"stale_ack": 1}}
	data, err := json.Marshal(full)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s coordinator.Status
		if json.Unmarshal(data, &s) != nil {
			return
		}
		if err := printStatus(io.Discard, &s); err != nil {
			t.Error(err)
		}
		if reasons(&s, client.Request{}, client.Response{Session: 1, Request: 2}) == "" {
			t.Errorf("%s gives no reason at all", data)
		}
	})
}
