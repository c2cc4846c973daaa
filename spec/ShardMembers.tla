---------------------------- MODULE ShardMembers ----------------------------
(***************************************************************************)
(* How the membership of Shard.tla changes while an epoch lasts, one step  *)
(* of a control plane at a time: removal, joining, and the marks up to     *)
(* which writes are settled and tombstones may be collected.               *)
(***************************************************************************)
EXTENDS ShardData

\* What a coordinator knows of the configuration: the last one of its epoch.
Known(x) == configs[kernel[x].epoch]

\* The compare-and-swap of a coordinator that is not taking over.
MayChange(x) ==
  /\ Running(x)
  /\ CompareAndSwap => /\ Epoch = kernel[x].epoch
                       /\ Config.coordinator = x

-----------------------------------------------------------------------------
(***************************************************************************)
(*                                 Removal                                 *)
(*                                                                         *)
(* A member is suspected, rightly or not.  It is taken out of the serving  *)
(* set, then out of the configuration, then out of the mask: as long as a  *)
(* successor might recover from it, every write needs it.  The last        *)
(* in-sync member is never removed.                                        *)
(*                                                                         *)
(* A control plane may die while the change that it asked for is on its    *)
(* way.  Its successor knows of no suspicion, and may let the member serve *)
(* again; then the change must not be made any more.  So before anything   *)
(* else the successor changes the configuration to what it is: whatever    *)
(* was based on it before will be refused.                                 *)
(***************************************************************************)
ShrinkServing(x, r) ==
  /\ faults.removals > 0 /\ r \in kernel[x].mask
  /\ Running(x) /\ Known(x).inSync \ {r} # {} /\ r \in Known(x).members
  /\ faults' = [faults EXCEPT !.removals = @ - 1, !.suspects = @ \cup {r}]
  /\ kernel' = [kernel EXCEPT ![x].serving = @ \ {r}]
  /\ UNCHANGED <<shard, nodes, messages, replies, clients, committed>>

ShrinkConfig(x, r) ==
  /\ MayChange(x) /\ r \in faults.suspects
  /\ r \in Config.members /\ (Confirm => r \notin kernel[x].serving)
  /\ Config.inSync \ {r} # {}
  /\ configs' = [configs EXCEPT ![Epoch].members = @ \ {r},
                                ![Epoch].inSync = @ \ {r}]
  /\ UNCHANGED <<control, silent, kernel, nodes, messages, replies, clients,
                 faults, committed>>

ShrinkMask(x, r) ==
  /\ Running(x) /\ r \in kernel[x].mask \ kernel[x].serving
  /\ r # control[x].joining
  /\ \/ r \notin Known(x).members
     \/ ~MaskLast /\ r \in faults.suspects
  /\ kernel' = [kernel EXCEPT ![x].mask = @ \ {r}]
  /\ UNCHANGED <<shard, nodes, messages, replies, clients, faults, committed>>

-----------------------------------------------------------------------------
(***************************************************************************)
(*                                  Joining                                *)
(*                                                                         *)
(* A node that is no member gets a new id, and forgets what it has, or if  *)
(* it is durable, remembers that it proves nothing.  (Minting the id and   *)
(* assigning it are one step: an id minted and not assigned is an id       *)
(* lost.)  Then the mask grows, so that no write is committed without it   *)
(* any more, then the members.                                             *)
(***************************************************************************)
Assign(x, n) ==
  LET k == Config.minted[n] + 1
      r == Id(n, IF FreshIds THEN k ELSE 1)
      node == nodes[n]
      kept == Durable \/ ~Discard
  IN  /\ MayChange(x) /\ control[x].joining = None
      /\ k <= LastId /\ node.epoch <= Epoch
      /\ \A q \in Config.members \cup kernel[x].mask : NodeOf(q) # n
      /\ configs' = [configs EXCEPT ![Epoch].minted[n] = k]
      /\ control' = [control EXCEPT ![x].joining = r]
      /\ faults' = [faults EXCEPT !.suspects = @ \ {r}]
      /\ nodes' = [nodes EXCEPT ![n] =
           [Blank EXCEPT
              !.id = r, !.epoch = Epoch, !.open = TRUE,
              !.store = IF kept THEN node.store ELSE @,
              !.sessions = IF kept THEN node.sessions ELSE @,
              !.old = IF Discard THEN
                   {k2 \in Keys : kept /\ node.store[k2].version # Zero}
                   \cup {s \in Slots : kept /\ node.sessions[s].request # 0}
                 ELSE {}]]
      /\ UNCHANGED <<silent, kernel, messages, replies, clients, committed>>

GrowMask(x) ==
  LET r == control[x].joining
  IN  /\ Running(x) /\ r # None /\ r \notin kernel[x].mask
      /\ kernel' = [kernel EXCEPT
           ![x].mask = @ \cup {r},
           ![x].lagging = IF Barrier THEN {} ELSE {r}]
      /\ UNCHANGED <<shard, nodes, messages, replies, clients, faults,
                     committed>>

GrowConfig(x) ==
  LET r == control[x].joining
  IN  /\ MayChange(x) /\ r # None /\ r \in kernel[x].mask
      /\ configs' = [configs EXCEPT ![Epoch].members = @ \cup {r}]
      /\ control' = [control EXCEPT ![x].joining = None]
      /\ UNCHANGED <<silent, kernel, nodes, messages, replies, clients,
                     faults, committed>>

(***************************************************************************)
(* The joining member catches up from an in-sync one, in parts that are    *)
(* read and applied while writes go on.  The session records are read      *)
(* first.  A write that reaches the source between the two is then copied  *)
(* without its session's record, but its own says whose it is.  All parts  *)
(* are of one source, or it begins again: an uncommitted write may be in   *)
(* the sessions of one and not in the records of another.  A durable       *)
(* replica may ask for what differs only.  That goes both ways: what it    *)
(* has of before and the source has not, it drops.                         *)
(***************************************************************************)
MayCatchUp(n, source) ==
  /\ nodes[n].id \in Config.members \ Config.inSync
  /\ nodes[source].id \in Config.inSync
  /\ nodes[n].open /\ nodes[source].open
  /\ nodes[n].epoch = Epoch /\ nodes[source].epoch = Epoch

ReadSessions(n, source) ==
  /\ MayCatchUp(n, source)
  /\ \/ nodes[n].catchup = "none"
     \/ /\ nodes[n].catchup = "sessions"
        /\ \A q \in Nodes : nodes[q].id = nodes[n].source =>
                           ~MayCatchUp(n, q)
  /\ nodes' = [nodes EXCEPT
       ![n].catchup = "sessions", ![n].source = nodes[source].id,
       ![n].snapshot.sessions = nodes[source].sessions]
  /\ UNCHANGED <<shard, kernel, messages, replies, clients, faults, committed>>

ReadRecords(n, source) ==
  /\ MayCatchUp(n, source) /\ nodes[n].catchup = "sessions"
  /\ nodes[source].id = nodes[n].source
  /\ nodes' = [nodes EXCEPT
       ![n].catchup = "records",
       ![n].snapshot.records = nodes[source].store]
  /\ UNCHANGED <<shard, kernel, messages, replies, clients, faults, committed>>

ApplySnapshot(n) ==
  LET node == nodes[n]
      copied(k) == node.snapshot.records[k]
      mine(k) == node.store[k]
      replaces(k) ==
        IF k \in node.old
          THEN Replace /\ (DropSurplus \/ copied(k).version # Zero)
          ELSE ~KeepNew
      Record(k) == IF replaces(k) THEN copied(k)
                   ELSE Newest({mine(k), copied(k)})
      copies(s) == {node.snapshot.sessions[s]} \cup
                   Told({copied(k) : k \in Keys}, s)
      Result(s) ==
        IF (IF s \in node.old THEN Replace ELSE ~KeepNew)
          THEN Latest(copies(s))
        ELSE Latest(copies(s) \cup {node.sessions[s]})
  IN  /\ node.id \in Config.members \ Config.inSync
      /\ node.catchup = "records"
      /\ nodes' = [nodes EXCEPT
           ![n].store = [k \in Keys |-> Record(k)],
           ![n].sessions = [s \in Slots |-> Result(s)],
           ![n].old = {}, ![n].snapshot = Nothing, ![n].source = None,
           ![n].catchup = "done"]
      /\ UNCHANGED <<shard, kernel, messages, replies, clients, faults,
                     committed>>

EnterSync(x, r) ==
  /\ MayChange(x) /\ r \in Config.members \ Config.inSync
  /\ CatchUpFirst => Holds(r) /\ nodes[NodeOf(r)].catchup = "done"
  /\ configs' = [configs EXCEPT ![Epoch].inSync = @ \cup {r}]
  /\ UNCHANGED <<control, silent, kernel, nodes, messages, replies, clients,
                 faults, committed>>

GrowServe(x, r) ==
  /\ Running(x) /\ r \in kernel[x].mask \ kernel[x].serving
  /\ r \in Known(x).inSync \/ (~ServeInSync /\ r \in Known(x).members)
  /\ Confirm => r \notin faults.suspects
  /\ kernel' = [kernel EXCEPT ![x].serving = @ \cup {r}]
  /\ UNCHANGED <<shard, nodes, messages, replies, clients, faults, committed>>

-----------------------------------------------------------------------------
(***************************************************************************)
(* The floor: every write of this epoch up to it is held by all members.   *)
(* While all of them are in sync, tombstones up to it may be collected:    *)
(* the replica keeps the floor as its mark.  A member that catches up may  *)
(* have been told of what was deleted by the source, a moment before.      *)
(***************************************************************************)
Settled(x) ==
  LET k == kernel[x]
      pending == {k.entries[s].seq : s \in {t \in Slots : ~k.entries[t].done}}
  IN  <<k.epoch, IF pending = {} \/ ~FloorBelowPending THEN k.seq
                 ELSE (CHOOSE q \in pending : \A p \in pending : q <= p) - 1>>

Listens(x, n) ==
  /\ Running(x) /\ nodes[n].id \in kernel[x].mask
  /\ nodes[n].epoch = kernel[x].epoch /\ nodes[n].open

Settle(x, n) ==
  /\ Settles /\ Listens(x, n)
  /\ Newer(Settled(x), nodes[n].floor)
  /\ nodes' = [nodes EXCEPT ![n].floor = Settled(x)]
  /\ UNCHANGED <<shard, kernel, messages, replies, clients, faults, committed>>

CollectTombstones(x, n) ==
  LET mark == Settled(x)
      gone(r) == r.value = Absent /\ ~Newer(r.version, mark)
  IN  /\ Collects /\ Listens(x, n)
      /\ CollectInSync => kernel[x].mask \subseteq Known(x).inSync
      /\ \E k \in Keys : gone(nodes[n].store[k])
      /\ Newer(mark, nodes[n].mark)
      /\ nodes' = [nodes EXCEPT
           ![n].floor = IF Newer(mark, @) THEN mark ELSE @,
           ![n].mark = mark,
           ![n].store = [k \in Keys |->
              IF gone(@[k]) THEN NothingStored ELSE @[k]]]
      /\ UNCHANGED <<shard, kernel, messages, replies, clients, faults,
                     committed>>
=============================================================================
