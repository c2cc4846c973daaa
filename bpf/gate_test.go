// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dalio/protocol"
)

// generatorFlags returns what the shipped object is compiled with, so that the
// variant differs from it in nothing but the gate.
func generatorFlags(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("generate.go")
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(`(?m)^//go:generate .* coordinator\.bpf\.c -- (.*)$`).FindSubmatch(text)
	if match == nil {
		t.Fatal("generate.go does not say how coordinator.bpf.c is compiled")
	}
	return strings.Fields(string(match[1]))
}

// withoutGate builds the variant that the demonstration of a missing gate runs.
func withoutGate(t *testing.T) string {
	t.Helper()
	object := filepath.Join(t.TempDir(), "without_gate.o")
	arguments := append(generatorFlags(t), "-O2", "-g", "-target", "bpfel", "-DDALIO_WITHOUT_GATE", "-c", "coordinator.bpf.c", "-o", object)
	if out, err := exec.Command("clang-19", arguments...).CombinedOutput(); err != nil {
		t.Fatalf("build the data plane without the gate: %v\n%s", err, out)
	}
	return object
}

// TestWithoutGate checks that the variant releases what the shipped object holds
// back.
func TestWithoutGate(t *testing.T) {
	c, frame := retryTo(3, 7)
	write := mustDecode(t, frame)
	reply := protocol.Message{Type: protocol.ReadReply, Op: write.Op, Epoch: 1, Replica: replica(0).ID,
		Version: protocol.Version{Epoch: 1, Seq: 7}, Writer: write.Session, Key: write.Key, Value: write.Value, Client: client(1)}
	for path, released := range map[string]bool{"": false, withoutGate(t): true} {
		dp := load(t, path)
		restore(t, dp, c)
		got, err := dp.HandleFrame(protocol.NewFrame(&reply, replica(0).Address, self))
		if err != nil || got.Verdict != protocol.Transmit {
			t.Fatalf("object %q: %+v, %v", path, got, err)
		}
		m := mustDecode(t, got.Frame)
		if (m.Type == protocol.ReadResponse && bytes.Equal(m.Value, write.Value)) != released {
			t.Errorf("object %q answered a pending version with a %v", path, m.Type)
		}
	}
}
