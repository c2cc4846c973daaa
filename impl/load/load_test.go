// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"dalio/traces"
)

func TestZipfFollowsItsLaw(t *testing.T) {
	const n, draws = 50, 200_000
	r := rand.New(rand.NewPCG(1, 2))
	for _, s := range []float64{0, 0.99} {
		z, counts, harmonic := NewZipf(n, s), make([]int, n), 0.0
		for range draws {
			counts[z.Draw(r)]++
		}
		for i := range n {
			harmonic += math.Pow(float64(i+1), -s)
		}
		for i, got := range counts {
			want := draws * math.Pow(float64(i+1), -s) / harmonic
			if math.Abs(float64(got)-want) > 6*math.Sqrt(want) {
				t.Errorf("exponent %v: %d was drawn %d times, expected about %.0f", s, i, got, want)
			}
		}
	}
}

func TestWorkloadKeepsItsPromises(t *testing.T) {
	w := Workload{Keys: 10, Skew: 0.99, DeleteKeys: 3, Writes: 0.3, Deletes: 0.1, ValueSize: 20, Seed: 7}
	seen, counts := map[string]bool{}, map[string]int{}
	zipf := NewZipf(w.Keys, w.Skew)
	a, again := newChoices(w, zipf, 4), newChoices(w, zipf, 4)
	for range 20_000 {
		op := a.next()
		if op != again.next() {
			t.Fatal("the same seed chose differently")
		}
		counts[op.f]++
		if op.f == traces.Write && (seen[op.value] || len(op.value) != w.ValueSize) {
			t.Fatalf("value %q is not new or not of size %d", op.value, w.ValueSize)
		}
		seen[op.value] = true
		if op.f == traces.Delete && !strings.HasPrefix(op.key, "d") {
			t.Fatalf("delete of %q, a key that others judge by its unique values", op.key)
		}
	}
	if share := float64(counts[traces.Write]) / 20_000; math.Abs(share-0.3*0.9-0.1/4) > 0.02 {
		t.Errorf("%.3f of the operations are writes", share)
	}
	if counts[traces.Delete] == 0 {
		t.Error("no deletes")
	}
}

// mapClient is a shard of one map; every tenth write has an unknown outcome.
type mapClient struct {
	mu     *sync.Mutex
	values map[string]string
	count  int
}

func (m *mapClient) Do(_ context.Context, f, key, value string) Answer {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count++
	switch {
	case f == traces.Read:
		v, found := m.values[key]
		return Answer{Outcome: traces.OK, Value: v, Found: found, Replica: 16, Hops: m.count % 2}
	case m.count%10 == 0:
		return Answer{Outcome: traces.Info, Retries: 3, Err: errors.New("no answer")}
	case f == traces.Write:
		m.values[key] = value
	default:
		delete(m.values, key)
	}
	return Answer{Outcome: traces.OK}
}

func TestRunRecordsWhatItCounts(t *testing.T) {
	var history bytes.Buffer
	var mu sync.Mutex
	recorder, values := traces.NewRecorder(&history), map[string]string{}
	var clients []Client
	for range 4 {
		clients = append(clients, &mapClient{mu: &mu, values: values})
	}
	report, err := Run(context.Background(), Workload{Keys: 10, DeleteKeys: 2, Writes: 0.5, Deletes: 0.2, Seed: 1},
		Options{Clients: clients, Recorder: recorder, Operations: 1000, Deadline: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := recorder.Close(); err != nil {
		t.Fatal(err)
	}
	if report.Operations() != 1000 || strings.Count(history.String(), "\n") != 2000 {
		t.Errorf("%d operations in %d lines, want 1000 in 2000", report.Operations(), strings.Count(history.String(), "\n"))
	}
	unknown := 0
	for _, f := range []string{traces.Read, traces.Write, traces.Delete} {
		unknown += report.Outcomes[f][traces.Info]
		if n := int(report.Latency[f].TotalCount()); n != report.Outcomes[f][traces.OK] {
			t.Errorf("%s: %d latencies of %d operations", f, n, report.Outcomes[f][traces.OK])
		}
	}
	if unknown == 0 || unknown != strings.Count(history.String(), `"type":"info"`) || report.Errors["no answer"] != unknown {
		t.Errorf("%d unknown outcomes, %d in the history", unknown, strings.Count(history.String(), `"type":"info"`))
	}
	if report.ReadsByReplica[16] != report.Outcomes[traces.Read][traces.OK] || report.GatedReads == 0 {
		t.Errorf("reads by replica %v, gated %d", report.ReadsByReplica, report.GatedReads)
	}
}

func TestRunRefusesWhatItCannotDrive(t *testing.T) {
	for what, w := range map[string]Workload{
		"no keys":                  {},
		"a share above 1":          {Keys: 1, Writes: 1.5},
		"deletes without own keys": {Keys: 1, Deletes: 0.5},
	} {
		if _, err := Run(context.Background(), w, Options{Clients: []Client{nil}, Deadline: time.Second}); err == nil {
			t.Errorf("%s was accepted", what)
		}
	}
}

func TestMixesHaveLetters(t *testing.T) {
	got, err := YCSB("a,d")
	if err != nil || len(got) != 2 || got[0] != YCSBA || got[1] != YCSBD {
		t.Errorf("YCSB() = %v, %v", got, err)
	}
	for _, bad := range []string{"", "e", "a,", "ycsb_a"} {
		if _, err := YCSB(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
