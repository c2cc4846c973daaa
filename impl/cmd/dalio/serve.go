// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"dalio/bpf"
	"dalio/impl/replica"
	"dalio/impl/replica/durable"
	"dalio/traces/event"
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
	var reads readPathOptions
	var listen, dir, trace string
	var debug bool
	cmd := &cobra.Command{
		Use:   "replica --listen IP:PORT [--dir D | --id ID [--epoch N]]",
		Short: "Run one replica of a shard, in memory or on disk",
		Long: "Serve as a replica until a signal ends it. Prints one line of JSON once it listens. Without an id it\n" +
			"waits on the same port number of TCP for a control plane that assigns one.\n\n" +
			"Without --dir, what it holds is lost when it ends, so it must not come back under the same id. With\n" +
			"--dir, every write is in that folder before it is acknowledged, and a replica that is started with the\n" +
			"folder again goes on with what is there. If that is damaged it is moved aside within the folder, and the\n" +
			"replica joins as a new one. If the disk is full or fails, the replica ends with an error.\n\n" +
			"Reads are answered in the kernel where the device of the address can run XDP programs itself, from a table of\n" +
			"fixed size; the process answers what is not in it. /v1/status on the replica's TCP port tells how much.",
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
			if dir != "" && !cmd.Flags().Changed("workers") {
				o.Workers = durable.Workers
			}
			if err := reads.check(trace != ""); err != nil {
				return withStatus(exitUsage, err)
			}
			return record(trace, "replica", &o.Events, func() error { return runReplica(cmd, listen, dir, o, &reads) })
		},
	}
	flags := cmd.Flags()
	flags.Uint32Var((*uint32)(&o.ID), "id", 0, "replica id, as the coordinator knows it (16, 17, 18 ... for the first ones)")
	flags.StringVar(&listen, "listen", "", "IPv4 address and port to listen on")
	flags.StringVar(&dir, "dir", "", "folder to keep the data in, made if it is missing (default: in memory)")
	flags.Uint32Var((*uint32)(&o.Epoch), "epoch", 1, "epoch to serve in")
	flags.IntVar(&o.Workers, "workers", replica.DefaultWorkers, "goroutines that handle messages; with --dir "+fmt.Sprint(durable.Workers)+" unless set")
	flags.IntVar(&o.ReceiveBuffer, "receive-buffer", replica.DefaultReceiveBuffer, "size of the receive buffer in bytes")
	flags.StringVar(&trace, "events", "", "file to append an event trace to")
	reads.addFlags(flags)
	flags.BoolVar(&debug, "debug", false, "log more")
	require(cmd, "listen")
	return cmd
}

func runReplica(cmd *cobra.Command, listen, dir string, o replica.Options, reads *readPathOptions) (err error) {
	if dir != "" {
		if o.ID != 0 {
			return withStatus(exitUsage, errors.New("--dir with --id: a replica on disk needs a control plane that assigns its id"))
		}
		store, openErr := durable.Open(dir, durable.Options{Logger: o.Logger})
		if openErr != nil {
			return withStatus(exitDidNotHappen, openErr)
		}
		o.Store = store
		defer func() {
			// What the disk failed at, Serve has told.
			if closeErr := store.Close(); err == nil {
				err = withStatus(exitDidNotHappen, closeErr)
			}
		}()
	}
	server, err := replica.Listen(listen, o)
	if err != nil {
		return withStatus(exitUsage, err)
	}
	path, err := reads.open(cmd.Context(), listen, o.Logger)
	if err != nil {
		return withStatus(exitUsage, errors.Join(err, server.Close()))
	}
	if path != nil {
		server.AnswerBy(path)
		// The program ends with the process in any case.
		defer func() { err = errors.Join(err, withStatus(exitDidNotHappen, path.Close())) }()
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

// record runs a function that has its events recorded in a file, if that is named.
func record(path, teller string, to **event.Recorder, run func() error) error {
	if path == "" {
		return run()
	}
	recorder, err := event.Create(path, fmt.Sprintf("%s.%d", teller, os.Getpid()), bpf.Now)
	if err != nil {
		return withStatus(exitUsage, fmt.Errorf("--events: %w", err))
	}
	*to = recorder
	err = run()
	if closeErr := recorder.Close(); err == nil {
		err = withStatus(exitDidNotHappen, closeErr)
	}
	return err
}

// require marks flags without which a command can't run.
func require(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // The flag does not exist: a mistake in this package.
		}
	}
}
