// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"dalio/impl/client"
	"dalio/impl/coordinator"
	"dalio/protocol"
)

// quiet is how long a replica may be silent before it is suspected: probes go
// out once a second.
const quiet = 2500 * time.Millisecond

// why asks the control plane what an operation that failed was waiting for, and
// returns what there is to add to its error: nothing if it can't be asked from here.
func why(ctx context.Context, s *shard, r client.Request, failed client.Response) string {
	if s.Coordinator.StatusSocket == "" {
		return ""
	}
	status, err := s.status(ctx)
	if err == nil && status.Config != nil && errors.Is(failed.Err, client.ErrTooFew) {
		return fmt.Sprintf("; %d of its %d replicas are in sync, and it takes writes with %d: start the others again, or add one with dalio member add; dalio member least changes how many it needs",
			status.Config.InSync(), len(status.Config.Replicas), status.Config.MinMembers)
	}
	if err != nil {
		return fmt.Sprintf("; the coordinator (process %d) does not say why: %v", s.Coordinator.PID, err)
	}
	return reasons(status, r, failed)
}

// reasons finds in a status what may have held an operation up.
func reasons(status *coordinator.Status, r client.Request, failed client.Response) string {
	var found []string
	earlier := 0
	for _, w := range status.Pending {
		switch {
		case len(w.Missing) == 0:
			// Seen between its last acknowledgement and its commit.
		case w.Session == uint64(failed.Session) && w.Request == failed.Request:
			found = append(found, fmt.Sprintf("%s not acknowledged for %s", replicas(w.Missing, "has", "have"), round(failed.Elapsed)))
		case w.KeyHash == protocol.KeyHash([]byte(r.Key)) && r.Op == protocol.OpNone:
			// They are in order of age, and the oldest says enough.
			if earlier++; earlier == 1 {
				found = append(found, fmt.Sprintf("an earlier write of the key waits for %s", replicas(w.Missing, "", "")))
			}
		}
	}
	for _, m := range status.Members {
		if m.LastHeard == nil {
			found = append(found, fmt.Sprintf("replica %d was never heard of", m.ID))
		} else if silent := time.Duration(*m.LastHeard * float64(time.Second)); silent > quiet {
			found = append(found, fmt.Sprintf("replica %d was last heard %s ago", m.ID, round(silent)))
		}
	}
	if len(found) == 0 {
		return fmt.Sprintf("; the coordinator knows of nothing that holds it up (%d writes are pending)", status.PendingCount)
	}
	return "; " + strings.Join(found, "; ")
}

// replicas names replicas, with a verb in the right number if there is one.
func replicas(ids []uint32, one, many string) string {
	switch len(ids) {
	case 0:
		return strings.TrimSpace("no replica " + one)
	case 1:
		return strings.TrimSpace(fmt.Sprintf("replica %d %s", ids[0], one))
	}
	var names []string
	for _, id := range ids {
		names = append(names, fmt.Sprint(id))
	}
	last := len(names) - 1
	return strings.TrimSpace(fmt.Sprintf("replicas %s and %s %s", strings.Join(names[:last], ", "), names[last], many))
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }

// silentFor returns how long ago the member was heard, for people.
func silentFor(m coordinator.Member) string {
	if m.LastHeard == nil {
		return "never"
	}
	return round(time.Duration(*m.LastHeard*float64(time.Second))).String() + " ago"
}
