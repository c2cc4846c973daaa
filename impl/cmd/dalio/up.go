// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"dalio/impl/cluster"
	"dalio/protocol"
)

// What dalio up starts if it is not told otherwise.
const (
	upCoordinators = 2
	upRestart      = time.Second
)

func newUp() *cobra.Command {
	var o cluster.Options
	cmd := &cobra.Command{
		Use:   "up --dir D [--replicas 3]",
		Short: "Run a whole shard on this machine until Ctrl-C",
		Long: "Start coordinators and replicas as processes in network namespaces of this machine, joined by a\n" +
			"bridge, and stay in the foreground. D/state.json appears when the shard serves, and D/logs holds what\n" +
			"the processes say. A process that ends is started again after a while; the shard goes on meanwhile.\n" +
			"Whatever ends this command, nothing of the shard is left behind. Needs root.",
		Example: "  dalio up --dir /tmp/shard &\n  dalio put --dir /tmp/shard greeting hello\n  dalio get --dir /tmp/shard greeting",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return up(cmd, o) },
	}
	cmd.Flags().StringVar(&o.Dir, "dir", "", "folder for the shard's state, made if it is missing")
	cmd.Flags().IntVar(&o.Replicas, "replicas", 3, "how many replicas, 1 to 16")
	cmd.Flags().IntVar(&o.Coordinators, "coordinators", upCoordinators, "how many coordinators, 1 to 4, of which one serves; 0 for one whose members never change")
	cmd.Flags().BoolVar(&o.Durable, "durable", false, "keep the data on disk, in D/data and D/etcd; dalio up --durable with the same D goes on with it")
	cmd.Flags().DurationVar(&o.Restart, "restart", upRestart, "after how long to start a process again that has ended; 0 for never")
	cmd.Flags().StringArrayVar(&o.CoordinatorFlags, "coordinator-flag", nil, "a flag for every coordinator, such as --suspect-after=1s or --min-members=1; repeat for each")
	cmd.Flags().StringArrayVar(&o.ReplicaFlags, "replica-flag", nil, "a flag for every replica, such as --kernel-reads=off; repeat for each")
	cmd.Flags().StringVar(&o.Object, "object", "", "BPF object to load in place of the built-in one")
	cmd.Flags().BoolVar(&o.Events, "events", false, "record what the processes do in D/events, for go run ./spec/trace; clients must do so too")
	cmd.Flags().IntVar(&o.Sessions, "sessions", 0, "size of the session table, a power of two (default 65536)")
	require(cmd, "dir")
	return cmd
}

func up(cmd *cobra.Command, o cluster.Options) (err error) {
	ctx := cmd.Context()
	if o.Replicas < 1 || o.Replicas > protocol.MaxMembers {
		return withStatus(exitUsage, fmt.Errorf("--replicas %d: want 1 to %d", o.Replicas, protocol.MaxMembers))
	}
	if o.Coordinators < 0 || o.Coordinators > cluster.MaxCoordinators || o.Restart < 0 {
		return withStatus(exitUsage, fmt.Errorf("--coordinators %d, --restart %v: want 0 to %d, and no time below 0", o.Coordinators, o.Restart, cluster.MaxCoordinators))
	}
	if o.Durable && o.Coordinators == 0 {
		return withStatus(exitUsage, errors.New("--durable needs coordinators whose members can change: give --coordinators 1 or more"))
	}
	if err := checkKept(o.Dir, o.Durable); err != nil {
		return withStatus(exitUsage, err)
	}
	release, err := claim(o.Dir)
	if err != nil {
		return withStatus(exitUsage, err)
	}
	defer release()
	o.Notice = func(what string) { fmt.Fprintf(cmd.ErrOrStderr(), "dalio: %s\n", what) }
	if o.Executable, err = os.Executable(); err != nil {
		return withStatus(exitUsage, fmt.Errorf("find the dalio command: %w", err))
	}
	shard, err := startShard(ctx, o)
	if ctx.Err() != nil && err != nil {
		return withStatus(exitDidNotHappen, errors.New("interrupted before the shard was ready"))
	}
	if err != nil {
		return withStatus(exitUsage, err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "shard ready: coordinator %s, %d replicas; Ctrl-C ends it\n", shard.Address, o.Replicas)
	fmt.Fprintf(cmd.OutOrStdout(), "  dalio put --dir %[1]s KEY VALUE; dalio get --dir %[1]s KEY; dalio status --dir %[1]s\n", o.Dir)
	<-ctx.Done()
	if err := shard.Close(); err != nil {
		return withStatus(exitDidNotHappen, fmt.Errorf("end the shard: %w", err))
	}
	left := "its logs"
	if o.Durable {
		left = "its logs and its data"
	}
	fmt.Fprintf(cmd.OutOrStdout(), "shard ended; nothing is left of it but %s\n", left)
	return nil
}

// checkKept refuses to start a shard in memory where one has its data: it would
// delete that.
func checkKept(dir string, durable bool) error {
	if _, err := os.Stat(filepath.Join(dir, "data")); err == nil && !durable {
		return fmt.Errorf("%s has the data of a durable shard: start it with --durable, or remove %s and %s", dir, filepath.Join(dir, "data"), filepath.Join(dir, "etcd"))
	}
	return nil
}

// startShard starts the shard so that a signal ends the start, but does not take
// a running shard down: Close does that in good order.
func startShard(ctx context.Context, o cluster.Options) (*cluster.Cluster, error) {
	starting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	shard, err := cluster.Start(starting, o)
	stop()
	if err != nil {
		cancel()
		return nil, err
	}
	return shard, nil
}

// claim makes the folder and keeps it for this process alone; the kernel gives
// it free when the process ends, however it ends. A state file that is there
// tells of a shard that was killed, and must not be taken for the new one's.
func claim(dir string) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the shard's folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the shard's folder: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("another dalio up runs a shard in %s; end it, or give another --dir", dir)
		}
		return nil, fmt.Errorf("lock the shard's folder: %w", err)
	}
	if err := os.Remove(filepath.Join(dir, cluster.StateFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		lock.Close()
		return nil, fmt.Errorf("remove the state of the last shard: %w", err)
	}
	return func() { lock.Close() }, nil
}
