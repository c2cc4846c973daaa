// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"dalio/impl/client"
	"dalio/protocol"
)

const (
	// defaultTimeout bounds commands that wait for the shard.
	defaultTimeout = 2 * time.Second
	// A quarter of the time is kept back to find out why an operation failed.
	askingWhy = 4
)

// target is the flags of a command that uses a shard.
type target struct {
	dir, address string
	timeout      time.Duration
}

func (t *target) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.dir, "dir", "", "folder of the shard, as given to dalio up")
	cmd.Flags().StringVar(&t.address, "address", "", "address of the shard's coordinator, IP:PORT; several with commas between")
	cmd.Flags().DurationVar(&t.timeout, "timeout", defaultTimeout, "how long to wait")
}

func (t *target) open() (*shard, error) {
	if t.timeout <= 0 {
		return nil, fmt.Errorf("--timeout %v: want a time above 0, such as 2s", t.timeout)
	}
	if (t.dir == "") == (t.address == "") {
		return nil, errors.New("give either --dir, for a shard of dalio up, or --address, for a coordinator on the network")
	}
	if t.address != "" {
		return addressedShard(t.address), nil
	}
	return openShard(t.dir)
}

func newPut() *cobra.Command {
	return newOperation("put (--dir D | --address IP:PORT) KEY VALUE", "Set a key's value", 2, func(args []string) client.Request {
		return client.Request{Op: protocol.OpPut, Key: args[0], Value: []byte(args[1])}
	})
}

func newGet() *cobra.Command {
	return newOperation("get (--dir D | --address IP:PORT) KEY", "Print a key's value", 1, func(args []string) client.Request {
		return client.Request{Key: args[0]}
	})
}

func newDelete() *cobra.Command {
	return newOperation("delete (--dir D | --address IP:PORT) KEY", "Make a key absent", 1, func(args []string) client.Request {
		return client.Request{Op: protocol.OpDelete, Key: args[0]}
	})
}

func newOperation(use, short string, args int, request func([]string) client.Request) *cobra.Command {
	var t target
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Long: short + " on the shard that dalio up runs in a folder, or whose coordinator has the address.\n\n" +
			exitHelp,
		Args: cobra.ExactArgs(args),
		RunE: func(cmd *cobra.Command, args []string) error {
			return operate(cmd, &t, request(args))
		},
	}
	t.register(cmd)
	return cmd
}

// operate does one operation within the timeout.
func operate(cmd *cobra.Command, t *target, r client.Request) error {
	s, err := t.open()
	if err != nil {
		return withStatus(exitUsage, err)
	}
	whole, cancel := context.WithTimeout(cmd.Context(), t.timeout)
	defer cancel()
	c, err := s.dial(whole)
	if err != nil {
		return withStatus(exitUsage, err)
	}
	defer c.Close()
	operating, cancel := context.WithTimeout(whole, t.timeout-t.timeout/askingWhy)
	defer cancel()
	response := c.Do(operating, r)
	switch err := response.Err; {
	case err == nil:
		if r.Op == protocol.OpNone {
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n", response.Value); err != nil {
				return withStatus(exitDidNotHappen, fmt.Errorf("print the value: %w", err))
			}
		}
		return nil
	case errors.Is(err, client.ErrNotFound):
		return withStatus(exitAbsent, fmt.Errorf("%q: %w", r.Key, err))
	case errors.Is(err, client.ErrTooLarge), errors.Is(err, client.ErrEmptyKey):
		return withStatus(exitUsage, err)
	case errors.Is(err, client.ErrNotDone):
		return withStatus(exitDidNotHappen, fmt.Errorf("%w%s", err, why(whole, s, r, response)))
	default:
		return withStatus(exitUnknown, fmt.Errorf("%w%s", err, why(whole, s, r, response)))
	}
}
