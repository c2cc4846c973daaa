-------------------------------- MODULE Shard --------------------------------
(***************************************************************************)
(* A shard through failures: members are suspected and removed, replicas   *)
(* crash and join again, and coordinators take over from one another,      *)
(* while the old one may go on.  The data plane is that of ShardData.tla,  *)
(* the control planes are those of ShardMembers.tla and ShardFailover.tla; *)
(* here are the faults, and what must hold.                                *)
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
EXTENDS ShardFailover

-----------------------------------------------------------------------------
(***************************************************************************)
(* A replica crashes, loses what it has, and comes back.  With its data it *)
(* has lost its id: it refuses everything until it is assigned another.    *)
(* A durable replica whose disk is lost, or is not provably the latest, is *)
(* like this.  One that comes back with all that it had has not crashed at *)
(* all, here, but for a mark that it failed to keep.                       *)
(***************************************************************************)
Crash(n) ==
  /\ faults.crashes > 0 /\ nodes[n].id # None
  /\ faults' = [faults EXCEPT !.crashes = @ - 1]
  /\ nodes' = [nodes EXCEPT ![n] =
       IF ForgetId THEN Blank
       ELSE [Blank EXCEPT !.id = nodes[n].id, !.epoch = nodes[n].epoch,
                          !.open = nodes[n].open]]
  /\ UNCHANGED <<shard, kernel, messages, replies, clients, committed>>

Restart(n) ==  \* only where KeepMark is broken
  /\ ~KeepMark /\ nodes[n].mark # Zero
  /\ nodes' = [nodes EXCEPT ![n].mark = Zero]
  /\ UNCHANGED <<shard, kernel, messages, replies, clients, faults, committed>>

(***************************************************************************)
(* Power is lost everywhere.  Durable replicas come back with what they    *)
(* had acknowledged, answer nothing, and a coordinator has to take over.   *)
(***************************************************************************)
LosePower ==
  /\ faults.power > 0
  /\ faults' = [faults EXCEPT !.power = @ - 1]
  /\ kernel' = [x \in Coordinators |-> Closed]
  /\ control' = [x \in Coordinators |-> Idle]
  /\ nodes' = [n \in Nodes |->
       [nodes[n] EXCEPT
          !.open = FALSE, !.snapshot = Nothing, !.source = None,
          !.catchup = IF @ = "done" THEN @ ELSE "none",
          !.store = IF PersistFirst THEN @ ELSE Blank.store,
          !.sessions = IF PersistFirst THEN @ ELSE Blank.sessions]]
  /\ UNCHANGED <<configs, silent, messages, replies, clients, committed>>

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
  /\ silent = NobodySilent
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
  /\ begun = [c \in Clients |-> NobodySilent]
  /\ faults = [removals |-> Removals, crashes |-> Crashes,
               power |-> PowerLosses, suspects |-> {}]
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
  \/ \E source \in Nodes : ReadSessions(n, source)
  \/ \E source \in Nodes : ReadRecords(n, source)
  \/ ApplySnapshot(n)

ControlStep(x) ==
  \/ \E r \in kernel[x].mask : ShrinkServing(x, r)
  \/ \E r \in Config.members : ShrinkConfig(x, r)
  \/ \E r \in kernel[x].mask : ShrinkMask(x, r)
  \/ \E n \in Nodes : Assign(x, n)
  \/ GrowMask(x)
  \/ GrowConfig(x)
  \/ \E r \in Config.members : EnterSync(x, r)
  \/ \E r \in kernel[x].mask : GrowServe(x, r)
  \/ \E n \in Nodes : Settle(x, n)
  \/ \E n \in Nodes : CollectTombstones(x, n)
  \/ TakeEpoch(x)
  \/ \E n \in Nodes : Fence(x, n)
  \/ WaitForLease(x)
  \/ Collect(x)
  \/ \E r \in Config.members : Install(x, r)
  \/ CutMembers(x)
  \/ \E r \in Config.members : Open(x, r)
  \/ OpenKernel(x)
  \/ CrashControl(x)

Next ==
  \/ \E c \in Clients : ClientStep(c)
  \/ \E x \in Coordinators : DataStep(x) \/ ControlStep(x)
  \/ \E n \in Nodes : ReplicaStep(n)
  \/ \E n \in Nodes : Crash(n)
  \/ \E n \in Nodes : Restart(n)
  \/ LosePower

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
\* Safety: what the clients see is a linearizable register for each key.
Linearizable == \A k \in Keys : possible[k] # {}

Chain ==
  \A x \in Coordinators : Running(x) =>
    /\ kernel[x].serving \subseteq Known(x).inSync
    /\ Known(x).inSync \subseteq Known(x).members
    /\ Known(x).members \subseteq kernel[x].mask

\* The node holds version v of k or a newer one, or what was newer is collected.
AtLeast(node, k, v) ==
  \/ ~Newer(v, node.store[k].version)
  \/ /\ node.store[k].version = Zero
     /\ \E n \in Nodes : ~Newer(v, nodes[n].mark)

\* Every in-sync member that has not lost its data holds every committed write
\* and the record of its session.
CommittedHeld ==
  \A r \in Config.inSync : Holds(r) =>
    \A w \in committed :
      LET node == nodes[NodeOf(r)]
          recorded == node.sessions[Slot(w.session)]
      IN  /\ AtLeast(node, w.key, w.version)
          /\ ~Later([session |-> w.session, request |-> w.request], recorded)

\* What is at or below the floor of a member is held by all in-sync ones.
FloorSound ==
  \A r, q \in Config.inSync : Holds(r) /\ Holds(q) =>
    \A k \in Keys :
      LET mine == nodes[NodeOf(r)].store[k].version
      IN  Newer(mine, nodes[NodeOf(r)].floor) \/
          AtLeast(nodes[NodeOf(q)], k, mine)

OneVersion ==  \* a request takes effect once
  \A v, w \in committed :
    v.session = w.session /\ v.request = w.request => v.version = w.version

-----------------------------------------------------------------------------
(***************************************************************************)
(* Liveness: after the last fault service resumes.  Here a control plane   *)
(* suspects only who is lost, a coordinator that is not needed takes over  *)
(* at most once, and an in-sync member that has not lost its data is left, *)
(* also of those that the next epoch is being recovered from.  A reply     *)
(* that no coordinator will release is lost, and the client asks again.    *)
(***************************************************************************)
GoesOn(x) ==
  \/ kernel[x].epoch = Epoch
  \/ control[x].taking = Epoch /\ \A r \in control[x].from : Holds(r)

NeededStep(x) ==
  \/ \E r \in kernel[x].mask : ~Holds(r) /\ ShrinkServing(x, r)
  \/ \E r \in kernel[x].mask : ShrinkMask(x, r) \/ GrowServe(x, r)
  \/ \E r \in Config.members : ShrinkConfig(x, r) \/ EnterSync(x, r)
  \/ \E n \in Nodes : Assign(x, n) \/ Fence(x, n)
  \/ GrowMask(x) \/ GrowConfig(x)
  \/ (\A y \in Coordinators : ~GoesOn(y)) /\ TakeEpoch(x)
  \/ WaitForLease(x) \/ Collect(x) \/ CutMembers(x)
  \/ \E r \in Config.members : Install(x, r) \/ Open(x, r)
  \/ OpenKernel(x)

LoseReply(c) ==
  /\ replies[c] # None
  /\ \A x \in Coordinators : kernel[x].epoch # replies[c].epoch
  /\ replies' = [replies EXCEPT ![c] = None]
  /\ UNCHANGED <<shard, kernel, nodes, messages, clients, faults, committed>>

CrashOfMany(n) ==
  LET left == {r \in Config.inSync : Holds(r) /\ NodeOf(r) # n}
  IN  /\ left # {}
      /\ \A x \in Coordinators :
           control[x].taking = Epoch /\ control[x].from # {} =>
             control[x].from \cap left # {}
      /\ Crash(n)

LiveNext ==
  \/ \E c \in Clients : ClientStep(c) \/ LoseReply(c)
  \/ \E x \in Coordinators : DataStep(x) \/ NeededStep(x)
  \/ \E x \in Coordinators : Epoch = 1 /\ TakeEpoch(x)
  \/ \E n \in Nodes : ReplicaStep(n) \/ CrashOfMany(n)
  \/ LosePower

LiveSpec ==
  /\ Init /\ [][LiveNext]_vars
  /\ \A x \in Coordinators : WF_vars(DataStep(x)) /\ WF_vars(NeededStep(x))
  /\ \A n \in Nodes : WF_vars(ReplicaStep(n))
  /\ \A c \in Clients : WF_vars(LoseReply(c))

Answered ==
  \A c \in Clients : calls[c].status = "open" ~> calls[c].status # "open"

\* In the end every replica is a member that serves.
Restored ==
  <>[](\E x \in Coordinators :
         /\ kernel[x].epoch = Epoch
         /\ \A n \in Nodes : nodes[n].id \in kernel[x].serving)
=============================================================================
