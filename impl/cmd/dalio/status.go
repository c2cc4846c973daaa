// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"dalio/impl/coordinator"
)

// pendingShown is how many pending writes are printed for people.
const pendingShown = 20

func newStatus() *cobra.Command {
	var t target
	var output, socket string
	cmd := &cobra.Command{
		Use:   "status (--dir D | --socket PATH) [-o json]",
		Short: "Show a coordinator's epoch, members, pending writes and drops",
		Long: "Ask a coordinator's control plane for its epoch, members, pending writes and who has not\n" +
			"acknowledged them, and the frames dropped by reason; and if the members can change, for the shard's\n" +
			"coordinators and replicas, who is joining and how far, and how its epochs began. With --dir, it is the\n" +
			"coordinator that serves that is asked.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return withStatus(exitUsage, fmt.Errorf("-o %q: want text or json", output))
			}
			if (socket == "") == (t.dir == "") {
				return withStatus(exitUsage, fmt.Errorf("give either --dir, for a shard of dalio up, or --socket, for a coordinator"))
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), t.timeout)
			defer cancel()
			status, err := fetchStatus(ctx, &t, socket)
			if err != nil {
				return err
			}
			if output == "json" {
				err = json.NewEncoder(cmd.OutOrStdout()).Encode(status)
			} else {
				err = printStatus(cmd.OutOrStdout(), status)
			}
			if err != nil {
				return withStatus(exitDidNotHappen, fmt.Errorf("print the status: %w", err))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&t.dir, "dir", "", "folder of the shard, as given to dalio up")
	cmd.Flags().DurationVar(&t.timeout, "timeout", defaultTimeout, "how long to wait")
	cmd.Flags().StringVar(&socket, "socket", "", "status socket of a coordinator, or the IP:PORT of its admin API")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

// fetchStatus asks the coordinator that is meant.
func fetchStatus(ctx context.Context, t *target, socket string) (*coordinator.Status, error) {
	if socket != "" {
		status, err := coordinator.FetchStatus(ctx, socket)
		return status, withStatus(exitDidNotHappen, err)
	}
	s, err := t.open()
	if err != nil {
		return nil, withStatus(exitUsage, err)
	}
	status, err := s.status(ctx)
	return status, withStatus(exitDidNotHappen, err)
}

func printStatus(w io.Writer, s *coordinator.Status) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	name := s.Address
	if s.Name != "" && s.Name != s.Address {
		name = s.Name + " at " + s.Address
	}
	fmt.Fprintf(t, "coordinator %s on %s, %s, epoch %d, up %v\n", name, s.Device, s.Role, s.Epoch,
		time.Duration(s.Uptime*float64(time.Second)).Round(time.Second))
	if s.Trouble != "" {
		fmt.Fprintf(t, "TROUBLE     %s\n", s.Trouble)
	}
	fmt.Fprintf(t, "sessions    %d of %d slots opened\n\n", s.Sessions.Opened, s.Sessions.Size)
	fmt.Fprintln(t, "MEMBER\tADDRESS\tSERVES READS\tLAST HEARD\tREADS\tUNACKNOWLEDGED")
	for _, m := range s.Members {
		fmt.Fprintf(t, "%d\t%s\t%v\t%s\t%d\t%d\n", m.ID, m.Address, m.Serving, silentFor(m), m.Reads, m.Unacknowledged)
	}
	if s.Config != nil {
		fmt.Fprintln(t)
		printShard(t, s)
	}
	fmt.Fprintf(t, "\npending writes: %d\n", s.PendingCount)
	if len(s.Pending) > 0 {
		fmt.Fprintln(t, "VERSION\tOP\tSESSION\tREQUEST\tWAITS FOR\tSINCE")
	}
	for _, p := range s.Pending[:min(len(s.Pending), pendingShown)] {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%s\t%v\n", p.Version, p.Op, p.Session, p.Request, replicas(p.Missing, "", ""),
			round(time.Duration(p.Waiting*float64(time.Second))))
	}
	printCounters(t, "dropped frames", s.Drops)
	printCounters(t, "activity", s.Activities)
	return t.Flush()
}

// printShard prints what the coordinators of a shard have agreed on.
func printShard(t io.Writer, s *coordinator.Status) {
	fmt.Fprintf(t, "shard in epoch %d of %s; new writes need %d members\n", s.Config.Epoch, s.Config.Coordinator, s.Config.MinMembers)
	for _, p := range s.Coordinators {
		fmt.Fprintf(t, "coordinator %s at %s, process %d\n", p.Name, p.Address, p.PID)
	}
	writeReplicas(t, s)
	fmt.Fprintln(t, "EPOCH\tCOORDINATOR\tRECOVERED FROM\tBEGUN\tBECAUSE")
	for _, o := range s.Config.History {
		var ids []string
		for _, id := range o.Members {
			ids = append(ids, fmt.Sprint(id))
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\n", o.Epoch, o.Coordinator, strings.Join(ids, " "),
			time.UnixMilli(o.At).Format(time.DateTime), o.Reason)
	}
}

func writeReplicas(t io.Writer, s *coordinator.Status) {
	fmt.Fprintln(t, "REPLICA\tID\tSTATE\tLAST HEARD\tREADS IN KERNEL\tCATCH-UP")
	for _, r := range s.Replicas {
		state, progress, heard, inKernel := r.State, "", "never", "–"
		if r.Suspected {
			state += ", suspected"
		}
		if r.LastHeard != nil {
			heard = round(time.Duration(*r.LastHeard*float64(time.Second))).String() + " ago"
		}
		if p := r.CatchUp; p != nil {
			progress = strings.TrimSpace(fmt.Sprintf("%s, %d of %d ranges %s", p.State, p.Done, p.Total, p.Error))
		}
		if r.Kernel != nil {
			inKernel = fmt.Sprint(r.Kernel.Answered)
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\n", r.Address, r.ID, state, heard, inKernel, progress)
	}
}

// printReplicas prints the replicas of a shard.
func printReplicas(w io.Writer, s *coordinator.Status) error {
	if s.Config == nil {
		return fmt.Errorf("the members of %s are fixed; dalio status lists them", s.Address)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	writeReplicas(t, s)
	return t.Flush()
}

// printCounters prints the counters that are not 0, by name.
func printCounters(w io.Writer, title string, counters map[string]uint64) {
	fmt.Fprintf(w, "\n%s:", title)
	any := false
	for _, name := range slices.Sorted(maps.Keys(counters)) {
		if n := counters[name]; n != 0 {
			fmt.Fprintf(w, " %s %d", strings.ReplaceAll(name, "_", " "), n)
			any = true
		}
	}
	if !any {
		fmt.Fprint(w, " none")
	}
	fmt.Fprintln(w)
}
