// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"time"

	"dalio/impl/config"
	"dalio/protocol"
)

// Kind is what a step does. Its text is what has been done when it has succeeded.
type Kind string

// The steps.
const (
	// Wait: nothing is to be done before Action.Until, or before something changes
	// if that is 0.
	Wait Kind = ""
	// The shrinking of the membership, in this order.
	ShrinkServing Kind = "serving-shrunk"
	ShrinkConfig  Kind = "config-shrunk"
	ShrinkMask    Kind = "mask-shrunk"

	// The joining of a replica, in this order.
	Mint       Kind = "minted"
	Assign     Kind = "assigned"
	GrowMask   Kind = "mask-grown"
	GrowConfig Kind = "config-grown"
	CatchUpOn  Kind = "catch-up-begun"
	EnterSync  Kind = "in-sync"
	GrowServe  Kind = "serving-grown"

	// The taking of an epoch, in this order.
	CloseKernel Kind = "closed"
	TakeEpoch   Kind = "epoch-taken"
	Fence       Kind = "fenced"
	Collect     Kind = "recents-collected"
	Install     Kind = "installed"
	CutMembers  Kind = "members-cut"
	OpenMembers Kind = "replicas-opened"
	OpenKernel  Kind = "opened"

	// The rest, in no order.
	Confirm   Kind = "confirmed" // The configuration is written again, with who was there when the epoch was opened.
	Expel     Kind = "expelled"
	Replace   Kind = "replaced"
	LeastSize Kind = "least-size-set"
)

// Kinds lists the steps that do something.
func Kinds() []Kind {
	return []Kind{ShrinkServing, ShrinkConfig, ShrinkMask, Mint, Assign, GrowMask, GrowConfig, CatchUpOn, EnterSync, GrowServe,
		CloseKernel, TakeEpoch, Fence, Collect, Install, CutMembers, OpenMembers, OpenKernel, Confirm, Expel, Replace, LeastSize}
}

// names has the constants' names, by kind: spec/README.md has the table of what they
// are in the specification.
var names = map[Kind]string{ShrinkServing: "ShrinkServing", ShrinkConfig: "ShrinkConfig", ShrinkMask: "ShrinkMask", Mint: "Mint", Assign: "Assign",
	GrowMask: "GrowMask", GrowConfig: "GrowConfig", CatchUpOn: "CatchUpOn", EnterSync: "EnterSync", GrowServe: "GrowServe", CloseKernel: "CloseKernel",
	TakeEpoch: "TakeEpoch", Fence: "Fence", Collect: "Collect", Install: "Install", CutMembers: "CutMembers", OpenMembers: "OpenMembers",
	OpenKernel: "OpenKernel", Confirm: "Confirm", Expel: "Expel", Replace: "Replace", LeastSize: "LeastSize"}

// Name is the step's name in event traces, that of its constant.
func (k Kind) Name() string { return names[k] }

// Action is one step. Which fields matter depends on its kind.
type Action struct {
	Kind Kind
	// Until is when to ask again at the latest, for Wait; 0 for when something changes.
	Until time.Duration
	// Config is what the configuration is changed to. The change must be refused
	// if the configuration is not the one of the view.
	Config config.Config
	// Epoch is the epoch of a Fence, Assign, OpenMembers or OpenKernel.
	Epoch protocol.Epoch
	// Members are those that are fenced, assigned, collected from, installed at,
	// opened or expelled, or those that remain in the acknowledgement mask.
	Members []config.Member
	// Since is above which version a Collect looks, nil for above the floors.
	Since *protocol.Version
	// Serving is the new serving set.
	Serving uint16
	// Source is whom to catch up from.
	Source config.Member
	// MinMembers is the new least number of members.
	MinMembers int
}

// ChangesConfig says whether the step changes the configuration.
func (a *Action) ChangesConfig() bool {
	switch a.Kind {
	case ShrinkConfig, Mint, GrowConfig, EnterSync, TakeEpoch, CutMembers, Replace, Confirm:
		return true
	}
	return false
}
