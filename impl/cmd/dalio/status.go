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
			"acknowledged them, and the frames dropped by reason.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return withStatus(exitUsage, fmt.Errorf("-o %q: want text or json", output))
			}
			if (socket == "") == (t.dir == "") {
				return withStatus(exitUsage, fmt.Errorf("give either --dir, for a shard of dalio up, or --socket, for a coordinator"))
			}
			if socket == "" {
				s, err := t.open()
				if err != nil {
					return withStatus(exitUsage, err)
				}
				socket = s.Coordinator.StatusSocket
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), t.timeout)
			defer cancel()
			status, err := coordinator.FetchStatus(ctx, socket)
			if err != nil {
				return withStatus(exitDidNotHappen, err)
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
	cmd.Flags().StringVar(&socket, "socket", "", "status socket of a coordinator that was started by itself")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

func printStatus(w io.Writer, s *coordinator.Status) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "coordinator %s on %s, epoch %d, up %v\n", s.Address, s.Device, s.Epoch,
		time.Duration(s.Uptime*float64(time.Second)).Round(time.Second))
	fmt.Fprintf(t, "sessions    %d of %d slots opened\n\n", s.Sessions.Opened, s.Sessions.Size)
	fmt.Fprintln(t, "MEMBER\tADDRESS\tSERVES READS\tLAST HEARD\tREADS\tUNACKNOWLEDGED")
	for _, m := range s.Members {
		fmt.Fprintf(t, "%d\t%s\t%v\t%s\t%d\t%d\n", m.ID, m.Address, m.Serving, silentFor(m), m.Reads, m.Unacknowledged)
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
