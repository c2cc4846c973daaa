// SPDX-License-Identifier: Apache-2.0

// Package jar fetches the model checker TLC, the pinned one and no other, and
// starts it.
package jar

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Heap sizes for Run.
const (
	Heap      = "-Xmx3g"
	SmallHeap = "-Xmx1g" // for short runs
)

const mavenTime = 5 * time.Minute

// Artifact is the checker itself, as Maven knows it.
type Artifact struct {
	Coordinates string `json:"coordinates"`
	File        string `json:"file"`
	SHA256      string `json:"sha256"`
}

// Root finds the directory of go.mod, from the working directory upwards.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("find the module: no go.mod in the working directory or above; run this inside the repository")
		}
		dir = parent
	}
}

// Pinned returns the artifact that the manifest of the specification names. Root
// is the directory of go.mod.
func Pinned(root string) (Artifact, error) {
	var manifest struct {
		TLC Artifact `json:"tlc"`
	}
	data, err := os.ReadFile(filepath.Join(root, "spec", "manifest.json"))
	if err == nil {
		err = json.Unmarshal(data, &manifest)
	}
	if err != nil {
		return Artifact{}, fmt.Errorf("read manifest: %w", err)
	}
	return manifest.TLC, nil
}

// FetchPinned gives the path of the checker that the manifest names: Pinned, then
// Fetch.
func FetchPinned(ctx context.Context, root string) (string, error) {
	artifact, err := Pinned(root)
	if err != nil {
		return "", err
	}
	return Fetch(ctx, root, artifact)
}

// Fetch gives the path of the checker's jar, fetched by Maven if it is not
// there, and refuses any jar but the pinned one.
func Fetch(ctx context.Context, root string, artifact Artifact) (string, error) {
	directory := filepath.Join(root, "build", "tools")
	jar := filepath.Join(directory, artifact.File)
	if _, err := os.Stat(jar); errors.Is(err, os.ErrNotExist) {
		ctx, cancel := context.WithTimeout(ctx, mavenTime)
		defer cancel()
		maven := exec.CommandContext(ctx, "mvn", "-q", "-B", "dependency:copy",
			"-Dartifact="+artifact.Coordinates, "-DoutputDirectory="+directory)
		maven.Dir = root
		if text, err := maven.CombinedOutput(); err != nil {
			return "", fmt.Errorf("fetch %s with Maven: %w\n%s", artifact.Coordinates, err, text)
		}
	}
	data, err := os.ReadFile(jar)
	if err != nil {
		return "", fmt.Errorf("read the checker: %w", err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != artifact.SHA256 {
		return "", fmt.Errorf("the checker %s has SHA-256 %x, not the pinned %s; remove it and run again", jar, sum, artifact.SHA256)
	}
	return jar, nil
}

// Run is one run of TLC, with one worker and the first fingerprint function, so
// that it is the same every time.
type Run struct {
	Jar     string   // what Fetch returned
	Scratch string   // an empty directory of this run alone, an absolute path
	Java    []string // options of Java, Heap or SmallHeap among them
	// Directory is where Module is, without its .tla, and Config is looked for.
	Directory, Module, Config string
	Options                   []string // further ones of TLC
	// Library is where modules are looked for that are not in Directory, if it is
	// not empty.
	Library string
}

// Command returns the command of the run. It is killed when the context ends,
// and when this process does: TLC would go on for minutes after a command that
// was killed.
func (r Run) Command(ctx context.Context) *exec.Cmd {
	args := append([]string{"-XX:+UseSerialGC"}, r.Java...)
	if r.Library != "" {
		args = append(args, "-DTLA-Library="+r.Library)
	}
	args = append(args, "-Xss16m", "-XX:-UsePerfData", "-Djava.io.tmpdir="+r.Scratch,
		"-cp", r.Jar, "tlc2.TLC", "-metadir", r.Scratch, "-cleanup", "-workers", "1", "-fp", "0", "-config", r.Config)
	args = append(append(args, r.Options...), r.Module+".tla")
	java := exec.CommandContext(ctx, "java", args...)
	java.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	java.Dir = r.Directory
	return java
}
