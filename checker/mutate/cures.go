// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// curesTime bounds the taking out of all cures of the C code.
const curesTime = 40 * time.Minute

var tried = regexp.MustCompile(`(?m)^(noticed|MISSED|ERROR|excused) +(\S+) +(.*)$`)

// tryCures takes each cure out of the C code, as make cures does.
func tryCures(ctx context.Context, o *options) ([]outcome, error) {
	text, err := os.ReadFile(filepath.Join(o.root, "checker", "cures", "dataplane.json"))
	if err != nil {
		return nil, err
	}
	var rows []struct{ Name, File, Passage, Change, Unnoticed string }
	if err := json.Unmarshal(text, &rows); err != nil {
		return nil, err
	}
	var all []outcome
	var names []string
	place := map[string]int{}
	for _, r := range rows {
		if ext := filepath.Ext(r.File); ext == ".c" || ext == ".h" {
			place[r.Name] = len(all)
			all = append(all, outcome{Kind: "c", Name: r.Name, Place: r.File, Was: r.Passage, Is: r.Change, State: lived, Why: r.Unnoticed})
			names = append(names, regexp.QuoteMeta(r.Name))
		}
	}
	out, failed := command(ctx, curesTime, o.root, "go", "run", "./checker/cures", "-only", "^("+strings.Join(names, "|")+")$")
	found := 0
	var problems []error
	for _, m := range tried.FindAllStringSubmatch(out, -1) {
		i, known := place[m[2]]
		if !known {
			continue
		}
		found++
		all[i].By = m[3]
		switch m[1] {
		case "noticed":
			all[i].State = killed
		case "ERROR": // What its table says of it is wrong.
			problems = append(problems, fmt.Errorf("cure %s: %s", m[2], m[3]))
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	if found != len(all) {
		return nil, fmt.Errorf("%d of %d cures were tried: %w\n%s", found, len(all), failed, out)
	}
	return all, nil
}
