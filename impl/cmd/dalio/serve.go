// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"dalio/impl/coordinator"
	"dalio/impl/replica"
	"dalio/protocol"
)

// newLogger returns the logger of a long-running command: text for people, on
// standard error, because standard output is for the ready line.
func newLogger(w io.Writer, debug bool) *slog.Logger {
	level := slog.LevelInfo
	if debug {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

// printReady prints the line that says that the command serves now.
func printReady(w io.Writer, line any) error {
	if err := json.NewEncoder(w).Encode(line); err != nil {
		return fmt.Errorf("print the ready line: %w", err)
	}
	return nil
}

type coordinatorReady struct {
	Ready        bool   `json:"ready"`
	PID          int    `json:"pid"`
	Address      string `json:"address"`
	Device       string `json:"dev"`
	Epoch        uint32 `json:"epoch"`
	StatusSocket string `json:"status_socket,omitempty"`
}

func newCoordinator() *cobra.Command {
	var o coordinator.Options
	var listen string
	var replicas []string
	var debug bool
	cmd := &cobra.Command{
		Use:   "coordinator --dev DEV [--dev DEV2 ...] --listen IP:PORT --replica ID=IP:PORT ...",
		Short: "Run a shard's coordinator on one network device or several",
		Long: "Load the data plane, attach it to the devices in native mode and keep it until a signal ends it.\n" +
			"Replicas are reached by the kernel's routes, which must lead through these devices; clients are answered\n" +
			"by the device that their requests come in by.\n" +
			"Prints one line of JSON when clients are served. Needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON.",
		Example: "  dalio coordinator --dev eth0 --listen 10.0.0.1:7411 --replica 16=10.0.0.2:7411 --replica 17=10.0.0.3:7411",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Logger = newLogger(cmd.ErrOrStderr(), debug)
			if err := parseCoordinator(&o, listen, replicas); err != nil {
				return withStatus(exitUsage, err)
			}
			return runCoordinator(cmd, o)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&o.Devices, "dev", nil, "network device that clients and replicas are reached through; repeat for each")
	flags.StringVar(&listen, "listen", "", "the coordinator's address, one of this machine's")
	flags.StringArrayVar(&replicas, "replica", nil, "a replica as ID=IP:PORT; repeat for each (ids 16, 17, 18 ... for the first ones)")
	flags.Uint32Var((*uint32)(&o.Epoch), "epoch", 1, "epoch to serve in")
	flags.Uint32Var(&o.Sessions, "sessions", 0, "size of the session table, a power of two (default 65536)")
	flags.Uint32Var(&o.SessionTTL, "session-ttl", 0, "seconds after which an idle session may be reclaimed (default 60)")
	flags.StringVar(&o.Object, "object", "", "BPF object to load in place of the built-in one")
	flags.StringVar(&o.StatusSocket, "status-socket", "", "unix socket to serve the status on")
	flags.BoolVar(&debug, "debug", false, "log more")
	require(cmd, "dev", "listen", "replica")
	return cmd
}

func parseCoordinator(o *coordinator.Options, listen string, replicas []string) error {
	var err error
	if o.Listen, err = netip.ParseAddrPort(listen); err != nil {
		return fmt.Errorf("--listen %q: want IP:PORT, such as 10.0.0.1:%d", listen, protocol.Port)
	}
	for _, s := range replicas {
		r, err := coordinator.ParseReplica(s)
		if err != nil {
			return fmt.Errorf("--replica: %w", err)
		}
		o.Replicas = append(o.Replicas, r)
	}
	return nil
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
	err = printReady(cmd.OutOrStdout(), coordinatorReady{Ready: true, PID: os.Getpid(), Address: o.Listen.String(),
		Device: strings.Join(o.Devices, ","), Epoch: uint32(o.Epoch), StatusSocket: o.StatusSocket})
	if err != nil {
		return withStatus(exitDidNotHappen, errors.Join(err, c.Close()))
	}
	o.Logger.Info("coordinator serves", "address", o.Listen, "devices", o.Devices, "epoch", uint32(o.Epoch), "replicas", len(o.Replicas))
	if err := c.Serve(ctx); err != nil {
		return withStatus(exitDidNotHappen, err)
	}
	o.Logger.Info("coordinator ended; the data plane is detached")
	return nil
}

type replicaReady struct {
	Ready         bool   `json:"ready"`
	PID           int    `json:"pid"`
	ID            uint32 `json:"id"`
	Epoch         uint32 `json:"epoch"`
	Address       string `json:"address"`
	ReceiveBuffer int    `json:"receive_buffer"`
}

func newReplica() *cobra.Command {
	var o replica.Options
	var listen string
	var debug bool
	cmd := &cobra.Command{
		Use:   "replica --listen IP:PORT [--id ID [--epoch N]]",
		Short: "Run one replica of a shard, in memory",
		Long: "Serve as a replica until a signal ends it. Prints one line of JSON once it listens. What it holds is\n" +
			"lost when it ends, so it must not come back under the same id. Without an id it waits on the same port\n" +
			"number of TCP for a control plane that assigns one.",
		Example: "  dalio replica --id 16 --listen 10.0.0.2:7411",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Logger = newLogger(cmd.ErrOrStderr(), debug)
			if !cmd.Flags().Changed("id") {
				if cmd.Flags().Changed("epoch") {
					return withStatus(exitUsage, errors.New("--epoch without --id: a replica that is assigned its id is assigned its epoch too"))
				}
				o.Epoch = 0
			}
			return runReplica(cmd, listen, o)
		},
	}
	flags := cmd.Flags()
	flags.Uint32Var((*uint32)(&o.ID), "id", 0, "replica id, as the coordinator knows it (16, 17, 18 ... for the first ones)")
	flags.StringVar(&listen, "listen", "", "IPv4 address and port to listen on")
	flags.Uint32Var((*uint32)(&o.Epoch), "epoch", 1, "epoch to serve in")
	flags.IntVar(&o.Workers, "workers", replica.DefaultWorkers, "goroutines that handle messages")
	flags.IntVar(&o.ReceiveBuffer, "receive-buffer", replica.DefaultReceiveBuffer, "size of the receive buffer in bytes")
	flags.BoolVar(&debug, "debug", false, "log more")
	require(cmd, "listen")
	return cmd
}

func runReplica(cmd *cobra.Command, listen string, o replica.Options) error {
	server, err := replica.Listen(listen, o)
	if err != nil {
		return withStatus(exitUsage, err)
	}
	err = printReady(cmd.OutOrStdout(), replicaReady{Ready: true, PID: os.Getpid(), ID: uint32(o.ID), Epoch: uint32(o.Epoch),
		Address: server.Addr().String(), ReceiveBuffer: server.ReceiveBuffer()})
	if err != nil {
		return withStatus(exitDidNotHappen, errors.Join(err, server.Close()))
	}
	o.Logger.Info("replica serves", "id", uint32(o.ID), "address", server.Addr(), "epoch", uint32(o.Epoch), "receive_buffer", server.ReceiveBuffer())
	err = server.Serve(cmd.Context())
	o.Logger.Info("replica ended", "id", uint32(o.ID), "counters", server.Counters())
	return withStatus(exitDidNotHappen, err)
}

// require marks flags without which a command can't run.
func require(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // The flag does not exist: a mistake in this package.
		}
	}
}
