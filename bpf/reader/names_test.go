// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf/btf"

	"dalio/protocol"
)

// TestNames fails when the action that the program takes, or a reason for which it
// takes none, is renamed in one place alone.
func TestNames(t *testing.T) {
	source, err := os.ReadFile("reader.bpf.c")
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`\bhandle_(\w+)\(struct packet`).FindAllStringSubmatch(string(source), -1) {
		action := "Handle"
		for part := range strings.SplitSeq(match[1], "_") {
			action += strings.ToUpper(part[:1]) + part[1:]
		}
		if _, ok := reflect.TypeFor[*protocol.Replica]().MethodByName(action); !ok {
			t.Errorf("protocol.Replica has no action %s", action)
		}
		spec, err := os.ReadFile("../../spec/Dalio.tla")
		if err != nil || !regexp.MustCompile(`(?m)^`+action+`\(r, m\) ==`).Match(spec) {
			t.Errorf("the specification has no action %s of a replica (%v)", action, err)
		}
	}
	objects, err := loadReader()
	if err != nil {
		t.Fatal(err)
	}
	var enum *btf.Enum
	if err := objects.Types.TypeByName("passed", &enum); err != nil {
		t.Fatal(err)
	}
	for _, value := range enum.Values {
		name := strings.ToLower(strings.TrimPrefix(value.Name, "PASSED_"))
		if name == "count" && int(value.Value) == len(reasons) {
			continue
		}
		if int(value.Value) >= len(reasons) || reasons[value.Value] != name {
			t.Errorf("%s is %d in C, and the reasons in Go are %v", value.Name, value.Value, reasons)
		}
	}
}

// TestLayout compares the cell in C and in Go.
func TestLayout(t *testing.T) {
	source, err := os.ReadFile("state.h")
	if err != nil {
		t.Fatal(err)
	}
	body := regexp.MustCompile(`(?s)struct cell \{(.*?)\n\};`).FindSubmatch(source)
	if body == nil {
		t.Fatal("state.h has no struct cell")
	}
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^\t__\w+ (\w+)(\[\])?;`).FindAllSubmatch(body[1], -1) {
		names = append(names, strings.ReplaceAll(string(m[1]), "_", ""))
	}
	kind := reflect.TypeFor[cell]()
	if len(names) != kind.NumField()+1 || names[len(names)-1] != "payload" {
		t.Fatalf("struct cell has %v, Go's has %d fields and no payload", names, kind.NumField())
	}
	for i := range kind.NumField() {
		if !strings.EqualFold(kind.Field(i).Name, names[i]) {
			t.Errorf("field %d is %s in C and %s in Go", i, names[i], kind.Field(i).Name)
		}
	}
	if unsafe.Sizeof(cell{}) != 48 {
		t.Errorf("a cell has %d bytes before its payload", unsafe.Sizeof(cell{}))
	}
}
