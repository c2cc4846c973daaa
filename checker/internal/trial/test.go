// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// Test is a test, or some cases of one.
type Test struct {
	Name, Folder, Pattern string
	// Expected is how the names begin of what must run.
	Expected string
}

// Parse reads the name of a test: package.TestName, or package.TestName/begin of a case.
func Parse(name string) (Test, error) {
	folder, rest, _ := strings.Cut(name, ".")
	function, cases, several := strings.Cut(rest, "/")
	if folder == "" || !strings.HasPrefix(function, "Test") {
		return Test{}, fmt.Errorf("%q is not the name of a package and a test", name)
	}
	t := Test{Name: name, Folder: filepath.FromSlash(folder), Pattern: "^" + function + "$", Expected: function}
	if several {
		t.Pattern += "/^" + regexp.QuoteMeta(cases)
		t.Expected += "/" + strings.ReplaceAll(cases, " ", "_")
	}
	return t, nil
}
