// SPDX-License-Identifier: Apache-2.0

package systems

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dalio/impl/internal/built"
	"dalio/impl/load"
	"dalio/traces"
)

var executable string

func TestMain(m *testing.M) {
	BeMember()
	os.Exit(built.Run(m, &executable))
}

// TestRun takes one short round of all systems, and looks at the report.
func TestRun(t *testing.T) {
	s := Settings{Clients: 4, Keys: 20, ValueSize: 64, Window: 100 * time.Millisecond, Rounds: 1}
	all := All(executable)
	r, err := Run(t.Context(), s, all, t.TempDir(), func(int, int, string) {})
	if err != nil {
		t.Fatalf("%v (the tests of this package need root)", err)
	}
	if len(r.Samples) != len(all)*len(mixes) || len(r.Ratios) != len(pairs)*len(mixes) {
		t.Errorf("%d samples and %d ratios of %d systems", len(r.Samples), len(r.Ratios), len(all))
	}
	for _, sample := range r.Samples {
		if sample.Operations == 0 || sample.Unknown != 0 || !(sample.CPU > 0) || !(sample.ReadP50 > 0) || (sample.WriteP50 > 0) != (sample.Mix != "ycsb_c") {
			t.Errorf("not believable: %+v", sample)
		}
	}
	var out strings.Builder
	dir := t.TempDir()
	if err := errors.Join(r.Print(&out), r.Write(dir)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"systems.json", "systems.svg"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.Contains(string(text), "redis_wait_disk") {
			t.Errorf("%s does not tell of all systems: %v", name, err)
		}
	}
}

// TestValuesAreKept reads what was written, and misses what was not.
func TestValuesAreKept(t *testing.T) {
	for _, s := range All(executable) {
		t.Run(s.Name(), func(t *testing.T) {
			clients := start(t, s, nil)
			if a := clients[0].Do(t.Context(), traces.Write, "key", "value"); a.Outcome != traces.OK {
				t.Fatalf("write: %+v", a)
			}
			if a := clients[1].Do(t.Context(), traces.Read, "key", ""); !a.Found || a.Value != "value" {
				t.Errorf("read: %+v", a)
			}
			if a := clients[0].Do(t.Context(), traces.Delete, "key", ""); a.Outcome != traces.OK {
				t.Fatalf("delete: %+v", a)
			}
			if a := clients[1].Do(t.Context(), traces.Read, "key", ""); a.Outcome != traces.OK || a.Found {
				t.Errorf("read of what was deleted: %+v", a)
			}
		})
	}
}

// TestRedisWaits: a write that a replica has not acknowledged is not taken for done.
func TestRedisWaits(t *testing.T) {
	var replica int
	clients := start(t, Redis{}, func(r Running) { replica = r.(*runningRedis).commands[2].Process.Pid })
	if err := unix.Kill(replica, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if a := clients[0].Do(t.Context(), traces.Write, "key", "value"); a.Outcome != traces.Info {
		t.Errorf("a write without one replica: %+v", a)
	}
}

// TestSettings refuses what can't be measured.
func TestSettings(t *testing.T) {
	for name, change := range map[string]func(*Settings){
		"no client": func(s *Settings) { s.Clients = 0 }, "too many clients": func(s *Settings) { s.Clients = maxClients + 1 },
		"no key": func(s *Settings) { s.Keys = 0 }, "value": func(s *Settings) { s.ValueSize = 1025 },
		"window": func(s *Settings) { s.Window = time.Millisecond }, "no round": func(s *Settings) { s.Rounds = 0 },
	} {
		s := DefaultSettings()
		change(&s)
		if _, err := Run(t.Context(), s, nil, t.TempDir(), nil); !errors.Is(err, ErrSettings) {
			t.Errorf("%s: Run() = %v, want %v", name, err, ErrSettings)
		}
	}
}

func start(t *testing.T, s System, look func(Running)) []load.Client {
	t.Helper()
	running, err := s.Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := running.Close(); err != nil {
			t.Error(err)
		}
	})
	if look != nil {
		look(running)
	}
	clients, err := running.Clients(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	return clients
}
