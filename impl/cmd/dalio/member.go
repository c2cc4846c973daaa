// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"dalio/impl/coordinator"
	"dalio/protocol"
)

// operatorPoll is how often the shard is asked whether what was asked for is done.
const operatorPoll = 50 * time.Millisecond

// operatorTimeout bounds what an operator waits for: a replica that joins may have
// much to copy.
const operatorTimeout = 30 * time.Second

// admin is the flags of a command for operators.
type admin struct {
	dir, socket string
	timeout     time.Duration
}

func (a *admin) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.dir, "dir", "", "folder of the shard, as given to dalio up")
	cmd.Flags().StringVar(&a.socket, "socket", "", "status socket of a coordinator, or the IP:PORT of its admin API")
	cmd.Flags().DurationVar(&a.timeout, "timeout", operatorTimeout, "how long to wait")
}

// targets returns how the coordinators of the shard are reached.
func (a *admin) targets() ([]string, error) {
	switch {
	case (a.socket == "") == (a.dir == ""):
		return nil, fmt.Errorf("give either --dir, for a shard of dalio up, or --socket, for a coordinator")
	case a.timeout <= 0:
		return nil, fmt.Errorf("--timeout %v: want a time above 0, such as 2s", a.timeout)
	case a.socket != "":
		return []string{a.socket}, nil
	}
	s, err := openShard(a.dir)
	if err != nil {
		return nil, err
	}
	return s.sockets(), nil
}

// askTimeout bounds the question to one coordinator, so that one that has stopped
// does not keep the others from being asked.
const askTimeout = time.Second

// find returns the first coordinator whose status fits, with that status.
func find(ctx context.Context, targets []string, fits func(*coordinator.Status) bool) (string, *coordinator.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	statuses, problems := make([]*coordinator.Status, len(targets)), make([]error, len(targets))
	var all sync.WaitGroup
	for i, t := range targets {
		all.Go(func() { statuses[i], problems[i] = coordinator.FetchStatus(ctx, t) })
	}
	all.Wait()
	for i, s := range statuses {
		if s != nil && fits(s) {
			return targets[i], s, nil
		}
	}
	return "", nil, errors.Join(problems...)
}

func isActive(s *coordinator.Status) bool { return s.Role == coordinator.RoleActive }

func isAny(*coordinator.Status) bool { return true }

// await asks until something is so.
func (a *admin) await(ctx context.Context, what string, targets []string, is func(*coordinator.Status) bool) error {
	for {
		_, s, err := find(ctx, targets, isActive)
		if s != nil && is(s) {
			return nil
		}
		select {
		case <-time.After(operatorPoll):
		case <-ctx.Done():
			if s != nil && s.Trouble != "" {
				err = errors.New(s.Trouble)
			}
			return withStatus(exitUnknown, fmt.Errorf("%s: not within %v; it was asked for, and may yet be done: dalio status tells (%v)", what, a.timeout, err))
		}
	}
}

func newMember() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "member",
		Short: "List, add, remove, drain or replace the replicas of a shard, or change how many it needs",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newMemberList(),
		newMemberChange("add", "add (--dir D | --socket S) IP:PORT", "Have a replica join, and wait until it serves", 1),
		newMemberChange("remove", "remove (--dir D | --socket S) (IP:PORT | ID)", "Take a replica out for good", 1),
		newMemberChange("drain", "drain (--dir D | --socket S) (IP:PORT | ID)", "Take a replica out until it is added again", 1),
		newMemberChange("replace", "replace (--dir D | --socket S) (IP:PORT | ID) NEW-IP:PORT", "Have a replica join, and take another one out when it serves", 2),
		newMemberLeast())
	return cmd
}

func newMemberLeast() *cobra.Command {
	var a admin
	cmd := &cobra.Command{
		Use:   "least (--dir D | --socket S) N",
		Short: "Change how many members new writes need",
		Long:  "Change how many members new writes need. With one, one more failure may lose what is written.\n\n" + exitHelp,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := strconv.Atoi(args[0])
			if err != nil {
				return withStatus(exitUsage, fmt.Errorf("%q: want a number of members, 1 to %d", args[0], protocol.MaxMembers))
			}
			return changeMembers(cmd, &a, coordinator.MemberChange{Do: "least", MinMembers: n})
		},
	}
	a.register(cmd)
	return cmd
}

func newMemberChange(do, use, short string, args int) *cobra.Command {
	var a admin
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Long:  short + ".\n\n" + exitHelp,
		Args:  cobra.ExactArgs(args),
		RunE: func(cmd *cobra.Command, args []string) error {
			change := coordinator.MemberChange{Do: do, Replica: args[0]}
			if len(args) > 1 {
				change.By = args[1]
			}
			return changeMembers(cmd, &a, change)
		},
	}
	a.register(cmd)
	return cmd
}

func changeMembers(cmd *cobra.Command, a *admin, change coordinator.MemberChange) error {
	targets, err := a.targets()
	if err != nil {
		return withStatus(exitUsage, err)
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout)
	defer cancel()
	active, before, err := find(ctx, targets, isActive)
	if err != nil || before == nil {
		return withStatus(exitDidNotHappen, fmt.Errorf("no coordinator serves that was asked: %w", errors.Join(err, errors.New("dalio status tells how it is"))))
	}
	address := change.Replica
	for _, r := range before.Replicas {
		if fmt.Sprint(r.ID) == change.Replica && r.ID != 0 {
			address = r.Address
		}
	}
	err = coordinator.ChangeMembers(ctx, active, change)
	switch {
	case errors.Is(err, coordinator.ErrConfiguration):
		return withStatus(exitUsage, err)
	case err != nil:
		return withStatus(exitDidNotHappen, err)
	}
	return a.await(ctx, change.Do+" "+change.Replica, targets, func(s *coordinator.Status) bool {
		switch change.Do {
		case "add":
			return serves(s, address)
		case "least":
			return s.Config.MinMembers == change.MinMembers
		case "replace":
			return serves(s, change.By) && !belongs(s, address)
		}
		return !isMember(s, address)
	})
}

func serves(s *coordinator.Status, address string) bool {
	for _, m := range s.Members {
		if m.Address == address {
			return m.Serving
		}
	}
	return false
}

func isMember(s *coordinator.Status, address string) bool {
	for _, m := range s.Config.Members {
		if m.Address.String() == address {
			return true
		}
	}
	return false
}

func belongs(s *coordinator.Status, address string) bool {
	for _, r := range s.Config.Replicas {
		if r.Address.String() == address {
			return true
		}
	}
	return isMember(s, address)
}

func newMemberList() *cobra.Command {
	var a admin
	cmd := &cobra.Command{
		Use:   "list (--dir D | --socket S)",
		Short: "List the replicas of a shard and how they stand",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			targets, err := a.targets()
			if err != nil {
				return withStatus(exitUsage, err)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout)
			defer cancel()
			_, s, err := find(ctx, targets, isActive)
			if s == nil {
				_, s, err = find(ctx, targets, isAny)
			}
			if s == nil {
				return withStatus(exitDidNotHappen, err)
			}
			return withStatus(exitDidNotHappen, printReplicas(cmd.OutOrStdout(), s))
		},
	}
	a.register(cmd)
	return cmd
}

func newFailover() *cobra.Command {
	var a admin
	cmd := &cobra.Command{
		Use:   "failover (--dir D | --socket S)",
		Short: "Have a coordinator that stands by take over",
		Long: "Have a coordinator that stands by take over, and wait until it serves. With --socket, it is that one.\n\n" +
			exitHelp,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return failOver(cmd, &a) },
	}
	a.register(cmd)
	return cmd
}

func failOver(cmd *cobra.Command, a *admin) error {
	targets, err := a.targets()
	if err != nil {
		return withStatus(exitUsage, err)
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout)
	defer cancel()
	next, _, err := find(ctx, targets, func(s *coordinator.Status) bool { return a.socket != "" || s.Role == coordinator.RoleStandby })
	if next == "" {
		return withStatus(exitDidNotHappen, fmt.Errorf("no coordinator stands by: %w", errors.Join(err, errors.New("start one with --standby"))))
	}
	if err := coordinator.Failover(ctx, next); err != nil {
		return withStatus(exitDidNotHappen, err)
	}
	return a.await(ctx, "failover", []string{next}, isActive)
}
