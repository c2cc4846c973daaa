// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
	"pgregory.net/rapid"

	"dalio/protocol"
)

// enumerators returns the names and values of an enumeration in the shipped
// object, without their prefix and in the spelling of package protocol.
func enumerators(t *testing.T, name, prefix string) map[string]uint64 {
	t.Helper()
	spec, err := embedded(false)
	if err != nil {
		t.Fatal(err)
	}
	var enum *btf.Enum
	if err := spec.Types.TypeByName(name, &enum); err != nil {
		t.Fatalf("enum %s in the object: %v", name, err)
	}
	values := map[string]uint64{}
	for _, v := range enum.Values {
		short, ok := strings.CutPrefix(v.Name, prefix)
		if !ok {
			t.Errorf("enumerator %s of enum %s does not begin with %s", v.Name, name, prefix)
		}
		values[short] = v.Value
	}
	return values
}

// camel turns HANDLE_WRITE_ACK into HandleWriteAck.
func camel(name string) string {
	var out strings.Builder
	for part := range strings.SplitSeq(name, "_") {
		out.WriteString(part[:1] + strings.ToLower(part[1:]))
	}
	return out.String()
}

func expectNames(t *testing.T, what string, got map[string]uint64, want map[string]uint64) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: the object has %v, Go has %v", what, got, want)
	}
}

// TestEnumerations compares the enumerations in wire.h with the Go constants.
func TestEnumerations(t *testing.T) {
	want := map[string]uint64{}
	for kind := protocol.OpenRequest; kind <= protocol.ProbeReply; kind++ {
		want[kind.String()] = uint64(kind)
	}
	got := map[string]uint64{}
	for name, value := range enumerators(t, "message_type", "MESSAGE_") {
		got[camel(name)] = value
	}
	expectNames(t, "message types", got, want)

	lower := func(in map[string]uint64) map[string]uint64 {
		out := map[string]uint64{}
		for name, value := range in {
			out[strings.ToLower(name)] = value
		}
		return out
	}
	want = map[string]uint64{}
	for op := protocol.OpNone; op <= protocol.OpDelete; op++ {
		want[op.String()] = uint64(op)
	}
	expectNames(t, "operations", lower(enumerators(t, "op", "OP_")), want)

	want = map[string]uint64{}
	for s := protocol.StatusNone; s <= protocol.StatusTooFew; s++ {
		want[strings.ToLower(s.String())] = uint64(s)
	}
	expectNames(t, "statuses", lower(enumerators(t, "status", "STATUS_")), want)

	want = map[string]uint64{"none": 0}
	for _, r := range protocol.Reasons() {
		want[r.String()] = uint64(r)
	}
	want["count"] = uint64(len(want))
	expectNames(t, "drop reasons", lower(enumerators(t, "drop_reason", "REASON_")), want)

	want = map[string]uint64{"count": uint64(len(activityNames))}
	for i, name := range activityNames {
		want[name] = uint64(i)
	}
	expectNames(t, "activities", lower(enumerators(t, "activity", "ACTIVITY_")), want)
}

// handlers returns the methods of a value that are actions.
func handlers(value any, exclude ...string) []string {
	var names []string
	kind := reflect.TypeOf(value)
	for i := range kind.NumMethod() {
		if name := kind.Method(i).Name; !slices.Contains(exclude, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Methods of package protocol that are no actions of the random walk, those of
// them that a control plane takes, and actions of the random walk that only a
// network or a control plane takes.
var (
	helpers     = append([]string{"HandleFrame", "Handle", "Expel"}, controlled...)
	controlled  = []string{"Assign", "Fence", "Open", "Settle"}
	environment = []string{"AdvanceTick", "ChangeEpoch", "ChangeMembers", "ChangeServing", "Check", "Forge", "PassTime", "ProbeCoordinator",
		"ProbeReplica", "TellProbe"}
)

func words(t *testing.T, pattern, expression string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	var found []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(expression).FindAllStringSubmatch(string(text), -1) {
			found = append(found, match[1])
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// TestActionNames fails when an action is renamed in one of its forms alone: the
// specification, the model, the C enumeration, the C handlers, the random walk.
func TestActionNames(t *testing.T) {
	coordinator := handlers(&protocol.Coordinator{}, helpers...)
	others := append(handlers(&protocol.Replica{}, helpers...), handlers(&protocol.Session{}, helpers...)...)

	var enum, functions []string
	for name := range enumerators(t, "action", "ACTION_") {
		if name != "COUNT" {
			enum = append(enum, camel(name))
		}
	}
	slices.Sort(enum)
	for _, name := range words(t, "*.h", `\b(handle_\w+)\(struct packet`) {
		functions = append(functions, camel(strings.ToUpper(name)))
	}
	var walk []string
	for name := range rapid.StateMachineActions(&world{}) {
		if name != "" && !slices.Contains(environment, name) {
			walk = append(walk, name)
		}
	}
	slices.Sort(walk)
	everybody := slices.Sorted(slices.Values(append(slices.Clone(coordinator), others...)))

	for what, got := range map[string][]string{"enum action": enum, "the C handlers": functions,
		"actionNames": slices.Sorted(slices.Values(actionNames[:]))} {
		if !slices.Equal(got, coordinator) {
			t.Errorf("%s: %v, but the coordinator of package protocol has %v", what, got, coordinator)
		}
	}
	if !slices.Equal(walk, everybody) {
		t.Errorf("the random walk has the actions %v, package protocol has %v", walk, everybody)
	}
	// Modules of models join actions, and name none.
	operators := words(t, "../spec/[^M]*.tla", `(?m)^([A-Z]\w*)(?:\([^)]*\))? *==`)
	for _, name := range append(controlled, everybody...) {
		if !slices.Contains(operators, name) {
			t.Errorf("action %s is not in spec/*.tla", name)
		}
	}
	for _, name := range operators {
		if regexp.MustCompile(`^Handle[A-Z]`).MatchString(name) && !slices.Contains(everybody, name) {
			t.Errorf("action %s of the specification is not in package protocol", name)
		}
	}
	values := enumerators(t, "action", "ACTION_")
	for i, name := range actionNames {
		for c, value := range values {
			if camel(c) == name && value != uint64(i) {
				t.Errorf("%s is number %d in C and %d in Go", name, value, i)
			}
		}
	}
}
