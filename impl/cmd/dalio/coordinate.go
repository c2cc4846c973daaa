// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"dalio/bpf"
	"dalio/impl/config"
	"dalio/impl/config/embedded"
	"dalio/impl/coordinator"
	"dalio/protocol"
)

type coordinatorReady struct {
	Ready        bool             `json:"ready"`
	PID          int              `json:"pid"`
	Address      string           `json:"address"`
	Device       string           `json:"dev"`
	Epoch        uint32           `json:"epoch"`
	Role         coordinator.Role `json:"role"`
	StatusSocket string           `json:"status_socket,omitempty"`
}

// coordinatorFlags are those that need more than to be stored.
type coordinatorFlags struct {
	listen, admin string
	events        string
	replicas      []string
	etcd          []string
	etcdDir       string
	debug         bool
}

func newCoordinator() *cobra.Command {
	var o coordinator.Options
	var f coordinatorFlags
	cmd := &cobra.Command{
		Use:   "coordinator --dev DEV [--dev DEV2 ...] --listen IP:PORT (--etcd URL | --etcd-dir DIR | --replica ID=IP:PORT ...)",
		Short: "Run a shard's coordinator on one network device or several",
		Long: "Load the data plane, attach it to the devices in native mode and keep it until a signal ends it.\n" +
			"Replicas are reached by the kernel's routes, which must lead through these devices; clients are answered\n" +
			"by the device that their requests come in by.\n\n" +
			"With --etcd or --etcd-dir the shard's members change: replicas that fail are taken out, those that come back\n" +
			"are joined, and a coordinator started with --standby takes over when the active one falls silent. A shard\n" +
			"that was never open begins with the replicas named by --replica IP:PORT. Without, the members are the\n" +
			"replicas named by --replica ID=IP:PORT, and never change.\n\n" +
			"Prints one line of JSON when clients are served. Needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON.",
		Example: "  dalio coordinator --dev eth0 --listen 10.0.0.1:7411 --etcd http://10.0.0.9:2379 --replica 10.0.0.2:7411 --replica 10.0.0.3:7411\n" +
			"  dalio coordinator --dev eth0 --listen 10.0.0.4:7411 --etcd http://10.0.0.9:2379 --standby\n" +
			"  dalio coordinator --dev eth0 --listen 10.0.0.1:7411 --replica 16=10.0.0.2:7411 --replica 17=10.0.0.3:7411",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Logger = newLogger(cmd.ErrOrStderr(), f.debug)
			if err := f.parse(&o); err != nil {
				return withStatus(exitUsage, err)
			}
			return record(f.events, "coordinator", &o.Events, func() error { return shareAndRun(cmd, o, &f) })
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&o.Devices, "dev", nil, "network device that clients and replicas are reached through; repeat for each")
	flags.StringVar(&f.listen, "listen", "", "the coordinator's address, one of this machine's")
	flags.StringArrayVar(&f.replicas, "replica", nil, "a replica as IP:PORT, or for fixed members as ID=IP:PORT (ids 16, 17, 18 ...); repeat for each")
	flags.Uint32Var((*uint32)(&o.Epoch), "epoch", 1, "epoch to serve in, for fixed members")
	flags.StringSliceVar(&f.etcd, "etcd", nil, "endpoints of etcd, http://HOST:PORT or unix:///PATH, with commas between")
	flags.StringVar(&f.etcdDir, "etcd-dir", "", "run etcd in this process, with its data in this folder")
	flags.StringVar(&o.Shard, "shard", coordinator.DefaultShard, "name of the shard in etcd")
	flags.StringVar(&o.Name, "name", "", "name of this coordinator among those of the shard (default: its address)")
	flags.BoolVar(&o.Standby, "standby", false, "don't begin a shard that was never open, but wait for another coordinator to")
	flags.IntVar(&o.MinMembers, "min-members", 0, "with fewer members no new writes are taken; counts when the shard begins (default 2, or 1 if it begins with one replica)")
	flags.DurationVar(&o.SuspectAfter, "suspect-after", coordinator.DefaultSuspectAfter, "silence after which a replica is taken out")
	flags.DurationVar(&o.TakeoverAfter, "takeover-after", coordinator.DefaultTakeoverAfter, "silence of the active data plane after which this coordinator takes over")
	flags.DurationVar(&o.ControlTimeout, "control-timeout", coordinator.DefaultControlTimeout, "absence of the active control plane after which this coordinator takes over")
	flags.DurationVar(&o.Lease, "lease", coordinator.DefaultLease, "for how long reads go on after a member was heard last; the same for all coordinators of a shard")
	flags.Int64Var(&o.CatchUpRate, "catch-up-rate", coordinator.DefaultCatchUpRate, "bytes a second that a joining replica is sent at most")
	flags.StringVar(&o.PinDir, "pin-dir", "", "folder in a BPF file system to pin the data plane in, so that it outlives this process and its successor can adopt it")
	flags.Uint32Var(&o.Sessions, "sessions", 0, "size of the session table, a power of two (default 65536)")
	flags.Uint32Var(&o.SessionTTL, "session-ttl", 0, "seconds after which an idle session may be reclaimed (default 60)")
	flags.TextVar(&o.Prefetch, "prefetch", bpf.PrefetchAuto, "fetch frames ahead from a veth device's ring: auto (where it can be done), on (or do not start) or off")
	flags.StringVar(&o.Object, "object", "", "BPF object to load in place of the built-in one")
	flags.StringVar(&o.StatusSocket, "status-socket", "", "unix socket to serve the status and the admin API on")
	flags.StringVar(&f.admin, "admin", "", "IP:PORT to serve the admin API on; whoever reaches it may use it")
	flags.StringVar(&f.events, "events", "", "file to append an event trace to; the data plane is another one then, for one device")
	flags.BoolVar(&f.debug, "debug", false, "log more")
	require(cmd, "dev", "listen")
	return cmd
}

// parse fills in the options that flags give as text.
func (f *coordinatorFlags) parse(o *coordinator.Options) error {
	var err error
	if o.Listen, err = netip.ParseAddrPort(f.listen); err != nil {
		return fmt.Errorf("--listen %q: want IP:PORT, such as 10.0.0.1:%d", f.listen, protocol.Port)
	}
	if f.admin != "" {
		if o.Admin, err = netip.ParseAddrPort(f.admin); err != nil {
			return fmt.Errorf("--admin %q: want IP:PORT", f.admin)
		}
	}
	if len(f.etcd) > 0 && f.etcdDir != "" {
		return errors.New("give either --etcd or --etcd-dir")
	}
	fixed := len(f.etcd) == 0 && f.etcdDir == ""
	if fixed && len(f.replicas) == 0 {
		return errors.New("give --etcd or --etcd-dir, or the fixed members by --replica ID=IP:PORT")
	}
	for _, s := range f.replicas {
		if fixed {
			r, err := coordinator.ParseReplica(s)
			if err != nil {
				return fmt.Errorf("--replica: %w", err)
			}
			o.Replicas = append(o.Replicas, r)
			continue
		}
		a, err := netip.ParseAddrPort(s)
		if err != nil {
			return fmt.Errorf("--replica %q: want IP:PORT; ids are given out by the coordinator", s)
		}
		o.Found = append(o.Found, a)
	}
	return nil
}

// shareAndRun runs the coordinator with etcd, if it has one.
func shareAndRun(cmd *cobra.Command, o coordinator.Options, f *coordinatorFlags) error {
	endpoints := f.etcd
	if f.etcdDir != "" {
		server, err := embedded.Start(cmd.Context(), f.etcdDir)
		if err != nil {
			return withStatus(exitUsage, err)
		}
		defer server.Close()
		endpoints = []string{server.Endpoint()}
	}
	if len(endpoints) > 0 {
		shared, err := config.Open(endpoints, o.Shard)
		if err != nil {
			return withStatus(exitUsage, fmt.Errorf("--etcd: %w", err))
		}
		defer shared.Close()
		o.Shared = shared
	}
	return runCoordinator(cmd, o)
}

func runCoordinator(cmd *cobra.Command, o coordinator.Options) error {
	ctx := cmd.Context()
	c, err := coordinator.Start(ctx, o)
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return nil // Asked to end before it began.
	case errors.Is(err, coordinator.ErrConfiguration):
		return withStatus(exitUsage, err)
	case err != nil:
		return withStatus(exitDidNotHappen, err)
	}
	status, err := c.Status()
	if err == nil {
		err = printReady(cmd.OutOrStdout(), coordinatorReady{Ready: true, PID: os.Getpid(), Address: o.Listen.String(),
			Device: strings.Join(o.Devices, ","), Epoch: status.Epoch, Role: status.Role, StatusSocket: o.StatusSocket})
	}
	if err != nil {
		return withStatus(exitDidNotHappen, errors.Join(err, c.Close()))
	}
	o.Logger.Info("coordinator is ready", "address", o.Listen, "devices", o.Devices, "epoch", status.Epoch, "role", string(status.Role))
	if err := c.Serve(ctx); err != nil {
		return withStatus(exitDidNotHappen, err)
	}
	o.Logger.Info("coordinator ended; the data plane is detached")
	return nil
}

func newEtcd() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "etcd --dir DIR",
		Short: "Run an etcd of one member for the coordinators of a shard on this machine",
		Long: "Keep the configuration of shards in DIR until a signal ends this, for coordinators that share it by\n" +
			"--etcd unix:///DIR/" + embedded.Socket + ". Prints one line of JSON when it answers. An etcd of several machines outlives any\n" +
			"of them; this one is for shards whose coordinators are on one machine.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runEtcd(cmd.Context(), cmd, dir) },
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder of etcd's data and sockets, made if it is missing")
	require(cmd, "dir")
	return cmd
}

type etcdReady struct {
	Ready    bool   `json:"ready"`
	PID      int    `json:"pid"`
	Endpoint string `json:"endpoint"`
}

func runEtcd(ctx context.Context, cmd *cobra.Command, dir string) error {
	server, err := embedded.Start(ctx, dir)
	if err != nil {
		return withStatus(exitUsage, err)
	}
	defer server.Close()
	if err := printReady(cmd.OutOrStdout(), etcdReady{true, os.Getpid(), server.Endpoint()}); err != nil {
		return withStatus(exitDidNotHappen, err)
	}
	select {
	case err := <-server.Failed():
		return withStatus(exitDidNotHappen, fmt.Errorf("etcd ended: %w", err))
	case <-ctx.Done():
		return nil
	}
}
