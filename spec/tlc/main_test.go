// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"testing"
)

func TestSetsAreChecked(t *testing.T) {
	if err := checkSets([]string{"spec", "must-fail"}); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"specs", "-only", ""} {
		if err := checkSets([]string{"must-fail", name}); !errors.Is(err, errUsage) {
			t.Errorf("%q: %v, want %v", name, err, errUsage)
		}
	}
}
