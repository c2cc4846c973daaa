-------------------------------- MODULE Shard --------------------------------
(***************************************************************************)
(* A shard through failures: members are suspected and removed, replicas   *)
(* crash and join again, and coordinators take over from one another,      *)
(* while the old one may go on.  The data plane is that of ShardData.tla;  *)
(* here are the control planes, the faults, and what must hold.            *)
(*                                                                         *)
(* Always, for every coordinator and the configuration of its epoch,       *)
(*                                                                         *)
(*   serving members  \subseteq  in-sync members                           *)
(*                    \subseteq  members  \subseteq  acknowledgement mask  *)
(*                                                                         *)
(* and every in-sync member holds every committed write, together with the *)
(* record of its session.  Each step below is one step of a control plane, *)
(* which may die after any of them.                                        *)
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
(***************************************************************************)
ShrinkServing(x, r) ==
  /\ faults.removals > 0 /\ r \in kernel[x].mask
  /\ Running(x) /\ Known(x).inSync \ {r} # {} /\ r \in Known(x).members
  /\ faults' = [faults EXCEPT !.removals = @ - 1, !.suspects = @ \cup {r}]
  /\ kernel' = [kernel EXCEPT ![x].serving = @ \ {r}]
  /\ UNCHANGED <<shard, nodes, messages, replies, clients, committed>>

ShrinkConfig(x, r) ==
  /\ MayChange(x) /\ r \in faults.suspects
  /\ r \in Config.members \ kernel[x].serving /\ Config.inSync \ {r} # {}
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
      /\ nodes' = [nodes EXCEPT ![n] =
           [Blank EXCEPT
              !.id = r, !.epoch = Epoch, !.open = TRUE,
              !.store = IF kept THEN node.store ELSE @,
              !.sessions = IF kept THEN node.sessions ELSE @,
              !.old = IF Discard THEN
                   {k2 \in Keys : kept /\ node.store[k2].version # Zero}
                   \cup {s \in Slots : kept /\ node.sessions[s].request # 0}
                 ELSE {}]]
      /\ UNCHANGED <<silent, kernel, messages, replies, clients, faults,
                     committed>>

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
(* without its session's record, but its own says whose it is.             *)
(***************************************************************************)
MayCatchUp(n, source) ==
  /\ nodes[n].id \in Config.members \ Config.inSync
  /\ nodes[source].id \in Config.inSync
  /\ nodes[n].open /\ nodes[source].open
  /\ nodes[n].epoch = Epoch /\ nodes[source].epoch = Epoch

ReadSessions(n, source) ==
  /\ MayCatchUp(n, source) /\ nodes[n].catchup = "none"
  /\ nodes' = [nodes EXCEPT
       ![n].catchup = "sessions",
       ![n].snapshot.sessions = nodes[source].sessions]
  /\ UNCHANGED <<shard, kernel, messages, replies, clients, faults, committed>>

ReadRecords(n, source) ==
  /\ MayCatchUp(n, source) /\ nodes[n].catchup = "sessions"
  /\ nodes' = [nodes EXCEPT
       ![n].catchup = "records",
       ![n].snapshot.records = nodes[source].store]
  /\ UNCHANGED <<shard, kernel, messages, replies, clients, faults, committed>>

ApplySnapshot(n) ==
  LET node == nodes[n]
      copied(k) == node.snapshot.records[k]
      mine(k) == node.store[k]
      Record(k) ==
        IF (IF k \in node.old THEN Replace ELSE ~KeepNew) THEN copied(k)
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
           ![n].old = {}, ![n].snapshot = Nothing, ![n].catchup = "done"]
      /\ UNCHANGED <<shard, kernel, messages, replies, clients, faults,
                     committed>>

MarkInSync(x, r) ==
  /\ MayChange(x) /\ r \in Config.members \ Config.inSync
  /\ CatchUpFirst => Holds(r) /\ nodes[NodeOf(r)].catchup = "done"
  /\ configs' = [configs EXCEPT ![Epoch].inSync = @ \cup {r}]
  /\ UNCHANGED <<control, silent, kernel, nodes, messages, replies, clients,
                 faults, committed>>

GrowServing(x, r) ==
  /\ Running(x) /\ r \in kernel[x].mask \ kernel[x].serving
  /\ r \in Known(x).inSync \/ (~ServeInSync /\ r \in Known(x).members)
  /\ r \notin faults.suspects
  /\ kernel' = [kernel EXCEPT ![x].serving = @ \cup {r}]
  /\ UNCHANGED <<shard, nodes, messages, replies, clients, faults, committed>>

-----------------------------------------------------------------------------
(***************************************************************************)
(*                                 Failover                                *)
(*                                                                         *)
(* A coordinator takes over: in the next epoch it is the owner.  That may  *)
(* be the old owner itself.  Unless CompareAndSwap is kept it may take     *)
(* over an epoch that another has taken a moment before.                   *)
(***************************************************************************)
TakeOver(x) ==
  LET taken == [Config EXCEPT !.coordinator = x]
      again == /\ ~CompareAndSwap /\ Epoch > 1 /\ Config.coordinator # x
      e     == IF again THEN Epoch ELSE Epoch + 1
  IN  /\ e <= LastEpoch
      /\ configs' = IF again THEN [configs EXCEPT ![e] = taken]
                             ELSE Append(configs, taken)
      /\ control' = [y \in Coordinators |->
           IF y = x THEN [Idle EXCEPT !.taking = e, !.phase = "fence"]
           ELSE IF again THEN control[y]
           ELSE [Idle EXCEPT !.joining = control[y].joining]]
      /\ kernel' = [y \in Coordinators |->
                      IF Survives THEN kernel[y] ELSE Closed]
      /\ UNCHANGED <<silent, nodes, messages, replies, clients, faults,
                     committed>>

Taking(x, phase) ==
  /\ control[x].phase = phase
  /\ Epoch = control[x].taking /\ (CompareAndSwap => Config.coordinator = x)

(***************************************************************************)
(* It fences the members: from now on they answer no earlier epoch.        *)
(***************************************************************************)
Fence(x, n) ==
  /\ Taking(x, "fence")
  /\ nodes[n].id \in Config.members /\ nodes[n].epoch < Epoch
  /\ nodes' = [nodes EXCEPT ![n].epoch = Epoch, ![n].open = FALSE]
  /\ UNCHANGED <<shard, kernel, messages, replies, clients, faults, committed>>

Fenced == {r \in Config.members : Holds(r) /\ nodes[NodeOf(r)].epoch = Epoch}

(***************************************************************************)
(* It waits until the read lease of every earlier epoch has run out, if    *)
(* there is an in-sync member that it could not fence, from which another  *)
(* coordinator may still read.                                             *)
(***************************************************************************)
WaitForLease(x) ==
  /\ Taking(x, "fence")
  /\ Fenced # {} /\ ~(Config.inSync \subseteq Fenced)
  /\ silent[Epoch] = {}
  /\ silent' = [silent EXCEPT ![Epoch] = IF Drift THEN Fenced ELSE {}]
  /\ UNCHANGED <<configs, control, kernel, nodes, messages, replies, clients,
                 faults, committed>>

(***************************************************************************)
(* It makes the fenced in-sync members the only members, and collects what *)
(* may differ among them: the records above their floors, and the session  *)
(* records.                                                                *)
(***************************************************************************)
Recent(r) ==
  LET node == nodes[NodeOf(r)]
  IN  {node.store[k] : k \in {i \in Keys :
         Newer(node.store[i].version, node.floor)}}

Recovered(R) ==
  [records |-> [k \in Keys |->
     LET found == {NothingStored} \cup
           {nodes[NodeOf(r)].store[k] : r \in {q \in R :
              nodes[NodeOf(q)].store[k] \in Recent(q)}}
     IN  Newest(found)],
   sessions |-> [s \in Slots |->
     IF RecoverSessions THEN Latest({nodes[NodeOf(r)].sessions[s] : r \in R})
                        ELSE NothingRecorded]]

CutMembers(x) ==
  LET fenced == IF FenceFirst THEN Fenced
                ELSE {r \in Config.members : Holds(r)}
      R == IF RecoverInSync THEN fenced \cap Config.inSync ELSE fenced
  IN  /\ Taking(x, "fence") /\ R # {}
      /\ \/ Config.inSync \subseteq R
         \/ silent[Epoch] # {} \/ ~WaitOut \/ ~FenceFirst
         \/ ~Drift
      /\ configs' = [configs EXCEPT ![Epoch].members = R,
                                    ![Epoch].inSync = R]
      /\ control' = [control EXCEPT ![x].phase = "install",
                                    ![x].recovered = Recovered(R)]
      /\ UNCHANGED <<silent, kernel, nodes, messages, replies, clients,
                     faults, committed>>

(***************************************************************************)
(* It gives each member what it lacks.                                     *)
(***************************************************************************)
Install(x, r) ==
  LET n == NodeOf(r)
      found == control[x].recovered
  IN  /\ Taking(x, "install") /\ r \in Config.members \ control[x].installed
      /\ Holds(r) /\ (FenceFirst => nodes[n].epoch = Epoch)
      /\ nodes' = [nodes EXCEPT
           ![n].store = [k \in Keys |->
             IF Reconcile THEN Newest({@[k], found.records[k]}) ELSE @[k]],
           ![n].sessions = [s \in Slots |->
             Latest({@[s], found.sessions[s]})]]
      /\ control' = [control EXCEPT ![x].installed = @ \cup {r}]
      /\ UNCHANGED <<configs, silent, kernel, messages, replies, clients,
                     faults, committed>>

(***************************************************************************)
(* Only when all have it are they opened: each then takes everything to be *)
(* settled, and forgets what was recent.                                   *)
(***************************************************************************)
Open(x, r) ==
  LET n == NodeOf(r)
  IN  /\ Taking(x, "install") /\ r \in Config.members
      /\ IF InstallFirst THEN Config.members \subseteq control[x].installed
                         ELSE r \in control[x].installed
      /\ Holds(r)
      /\ IF FenceFirst THEN nodes[n].epoch = Epoch /\ ~nodes[n].open
                       ELSE nodes[n].epoch < Epoch
      /\ nodes' = [nodes EXCEPT ![n].open = TRUE, ![n].epoch = Epoch,
                                ![n].floor = <<Epoch, 0>>]
      /\ UNCHANGED <<shard, kernel, messages, replies, clients, faults,
                     committed>>

(***************************************************************************)
(* Its data plane opens, with what was recovered in the session table.     *)
(***************************************************************************)
OpenKernel(x) ==
  LET R == Config.members
      found == control[x].recovered
      Entry(s) == [NoEntry EXCEPT !.owner = found.sessions[s].session,
                                  !.request = found.sessions[s].request]
  IN  /\ Taking(x, "install") \/ (Taking(x, "fence") /\ ~RecoverFirst)
      /\ IF RecoverFirst
           THEN \A r \in R : /\ Holds(r) /\ nodes[NodeOf(r)].open
                             /\ nodes[NodeOf(r)].epoch = Epoch
           ELSE kernel[x].epoch < Epoch
      /\ kernel' = [kernel EXCEPT ![x] =
           [Closed EXCEPT !.epoch = Epoch, !.mask = R, !.serving = R,
                          !.entries = [s \in Slots |-> Entry(s)]]]
      /\ control' = IF RecoverFirst THEN [control EXCEPT ![x] = Idle]
                                    ELSE control
      /\ committed' = committed \cup
           {[version |-> y.version, key |-> k, session |-> y.writer,
             request |-> y.request] :
            <<y, k>> \in {<<found.records[i], i>> : i \in {j \in Keys :
                            found.records[j].version # Zero}}}
      /\ UNCHANGED <<configs, silent, nodes, messages, replies, clients,
                     faults>>

-----------------------------------------------------------------------------
(***************************************************************************)
(* The floor: every write of this epoch up to it is held by all members.   *)
(***************************************************************************)
Settle(x, n) ==
  LET k == kernel[x]
      pending == {k.entries[s].seq : s \in {t \in Slots : ~k.entries[t].done}}
      floor == IF pending = {} \/ ~FloorBelowPending THEN k.seq
               ELSE (CHOOSE q \in pending : \A p \in pending : q <= p) - 1
  IN  /\ Settles /\ Running(x) /\ nodes[n].id \in k.mask
      /\ nodes[n].epoch = k.epoch /\ nodes[n].open
      /\ Newer(<<k.epoch, floor>>, nodes[n].floor)
      /\ nodes' = [nodes EXCEPT ![n].floor = <<k.epoch, floor>>]
      /\ UNCHANGED <<shard, kernel, messages, replies, clients, faults,
                     committed>>

(***************************************************************************)
(* A replica crashes, loses what it has, and comes back.  With its data it *)
(* has lost its id: it refuses everything until it is assigned another.    *)
(* A durable replica that kept everything has not crashed at all, here;    *)
(* one whose disk is lost, or is not provably the latest, is like this.    *)
(***************************************************************************)
Crash(n) ==
  /\ faults.crashes > 0 /\ nodes[n].id # None
  /\ faults' = [faults EXCEPT !.crashes = @ - 1]
  /\ nodes' = [nodes EXCEPT ![n] =
       IF ForgetId THEN Blank
       ELSE [Blank EXCEPT !.id = nodes[n].id, !.epoch = nodes[n].epoch,
                          !.open = nodes[n].open]]
  /\ UNCHANGED <<shard, kernel, messages, replies, clients, committed>>

\* A control plane crashes: it forgets whom it was about to make a member.  (If
\* it was taking over, somebody must take over again, as at any other time.)
CrashControl(x) ==
  /\ control[x].joining # None
  /\ control' = [control EXCEPT ![x] = Idle]
  /\ UNCHANGED <<configs, silent, kernel, nodes, messages, replies, clients,
                 faults, committed>>

-----------------------------------------------------------------------------
Founding == [coordinator |-> First, members |-> {Id(n, 1) : n \in Founders},
             inSync |-> {Id(n, 1) : n \in Founders},
             minted |-> [n \in Nodes |-> IF n \in Founders THEN 1 ELSE 0]]

SessionAtStart(c) ==
  IF SlotOf(c) = None THEN None ELSE Session(1, 1, SlotOf(c))

Init ==
  /\ configs = <<Founding>>
  /\ kernel = [x \in Coordinators |->
       IF x # First THEN Closed
       ELSE [Closed EXCEPT
               !.epoch = 1, !.mask = Founding.members,
               !.serving = Founding.members,
               !.entries = [s \in Slots |->
                 IF \E c \in Clients : SlotOf(c) = s
                   THEN [NoEntry EXCEPT !.owner = Session(1, 1, s)]
                   ELSE NoEntry],
               !.counts = [s \in Slots |->
                 IF \E c \in Clients : SlotOf(c) = s THEN 1 ELSE 0]]]
  /\ control = [x \in Coordinators |-> Idle]
  /\ silent = [e \in 1..LastEpoch |-> {}]
  /\ nodes = [n \in Nodes |->
       IF n \in Founders
         THEN [Blank EXCEPT !.id = Id(n, 1), !.epoch = 1, !.open = TRUE]
         ELSE Blank]
  /\ messages = {}
  /\ replies = [c \in Clients |-> None]
  /\ sessions = [c \in Clients |-> SessionAtStart(c)]
  /\ requests = [c \in Clients |-> 0]
  /\ calls = [c \in Clients |-> [status |-> "idle", op |-> "none",
                                 key |-> None, value |-> None]]
  /\ faults = [removals |-> Removals, crashes |-> Crashes, suspects |-> {}]
  /\ committed = {}
  /\ possible = [k \in Keys |-> Judge!AtStart]

ClientStep(c) ==
  \/ \E k \in Keys : InvokeRead(c, k)
  \/ \E k \in Keys, v \in Contents : InvokeWrite(c, k, v)

DataStep(x) ==
  \/ \E c \in Clients, s \in Slots : HandleOpenRequest(x, c, s)
  \/ \E m \in Received("WriteRequest") : HandleWriteRequest(x, m)
  \/ \E s \in Slots : HandleWriteAck(x, s)
  \/ \E c \in Clients : HandleReadReply(x, c)

ReplicaStep(n) ==
  \/ \E m \in Received("Write") : HandleWrite(n, m)
  \/ \E c \in Clients : HandleRead(n, c)
  \/ \E source \in Nodes : ReadSessions(n, source) \/ ReadRecords(n, source)
  \/ ApplySnapshot(n)
  \/ Crash(n)

ControlStep(x) ==
  \/ \E r \in kernel[x].mask : ShrinkServing(x, r) \/ ShrinkMask(x, r)
  \/ \E r \in Config.members : ShrinkConfig(x, r) \/ MarkInSync(x, r)
  \/ \E n \in Nodes : Assign(x, n) \/ Fence(x, n) \/ Settle(x, n)
  \/ GrowMask(x) \/ GrowConfig(x)
  \/ \E r \in kernel[x].mask : GrowServing(x, r)
  \/ TakeOver(x) \/ WaitForLease(x) \/ CutMembers(x)
  \/ \E r \in Config.members : Install(x, r) \/ Open(x, r)
  \/ OpenKernel(x)
  \/ CrashControl(x)

Next ==
  \/ \E c \in Clients : ClientStep(c)
  \/ \E x \in Coordinators : DataStep(x) \/ ControlStep(x)
  \/ \E n \in Nodes : ReplicaStep(n)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
\* Safety: what the clients see is a linearizable register for each key.
Linearizable == \A k \in Keys : possible[k] # {}

Chain ==
  \A x \in Coordinators : Running(x) =>
    /\ kernel[x].serving \subseteq Known(x).inSync
    /\ Known(x).inSync \subseteq Known(x).members
    /\ Known(x).members \subseteq kernel[x].mask

\* Every in-sync member that has not lost its data holds every committed write
\* and the record of its session.
CommittedHeld ==
  \A r \in Config.inSync : Holds(r) =>
    \A w \in committed :
      LET node == nodes[NodeOf(r)]
          recorded == node.sessions[Slot(w.session)]
      IN  /\ ~Newer(w.version, node.store[w.key].version)
          /\ ~Later([session |-> w.session, request |-> w.request], recorded)

\* What is at or below the floor of a member is held by all in-sync ones.
FloorSound ==
  \A r, q \in Config.inSync : Holds(r) /\ Holds(q) =>
    \A k \in Keys :
      LET mine == nodes[NodeOf(r)].store[k].version
      IN  Newer(mine, nodes[NodeOf(r)].floor) \/
          ~Newer(mine, nodes[NodeOf(q)].store[k].version)

OneVersion ==  \* a request takes effect once
  \A v, w \in committed :
    v.session = w.session /\ v.request = w.request => v.version = w.version
=============================================================================
