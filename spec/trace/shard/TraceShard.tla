----------------------------- MODULE TraceShard -----------------------------
(***************************************************************************)
(* Whether what a shard did through failures is a behaviour of Shard.tla.  *)
(*                                                                         *)
(* ShardTrace, which is generated, has the events of a run in one order:   *)
(* each state of the configuration, the steps of the control planes and    *)
(* the replicas, and under which sets, epoch and id the data planes and    *)
(* the replicas have answered.  TLC takes just the steps that they name,   *)
(* one or several for an event, and each must have the effects told.       *)
(*                                                                         *)
(* There are no clients, keys and slots here.  So of a write, a read and   *)
(* what a recovery or a catch-up moves nothing is said, but everything of  *)
(* who was a member, fenced, in sync or serving at any time.               *)
(*                                                                         *)
(* Some steps nobody tells, and TLC takes them where the next event needs  *)
(* them (Untold): what the control plane does in its head, and the last    *)
(* step of one that was killed before it had told it.  In two things the   *)
(* code does what Shard.tla leaves out.  A suspicion can be taken back,    *)
(* unless a change that was asked for may still be made; and there may be  *)
(* several replicas about to be made members, of which Shard.tla has one.  *)
(***************************************************************************)
EXTENDS Shard, TLC, ShardTrace

\* The run is in a variable, because TLC would look through all of Runs for each
\* definition that leads there.
VARIABLES
  run,
  number,   \* that of the run
  line,     \* of the event that is next
  told,     \* the number of the last event, by teller
  sure,     \* the control planes of which no change can still be on its way
  joiners,  \* by coordinator: who has been assigned to be made a member
  history   \* the configurations so far, with who has made them

traceVars == <<run, number, line, told, sure, joiners, history, vars>>

\* What states are told apart by.
TraceView == <<number, line, told, sure, joiners, history, vars>>

Event  == run.events[line]
By     == Event[1]
From   == Event[2]  \* an event may stand for several of its teller, to number
To     == Event[3]
Action == Event[4]
X      == Event[5]  \* the coordinator
About  == Event[6]
Killed == Event[7]  \* may a step have been taken before it that nobody has told?

\* Is the event done with, or are there more steps to take for it?
Advance(done) ==
  /\ line' = IF done THEN line + 1 ELSE line
  /\ told' = IF done THEN [told EXCEPT ![By] = To] ELSE told
  /\ done => PrintT("reached " \o ToString(number) \o " " \o ToString(line))

\* A step of Shard.tla, of which the control planes' heads know nothing new.
Plain(done) == Advance(done) /\ UNCHANGED <<sure, joiners, history>>

\* An event that tells of what is so.
Seen == UNCHANGED vars /\ Plain(TRUE)

-----------------------------------------------------------------------------
(***************************************************************************)
(* The data plane of X: About is its epoch, mask and serving set.          *)
(***************************************************************************)
AsTold(k) ==
  k.epoch = About[1] /\ k.mask = About[2] /\ k.serving = About[3]

TraceShrinkServing ==
  /\ kernel[X].mask = About[2]
  /\ \E r \in kernel[X].serving \ About[3] : ShrinkServing(X, r)
  /\ Plain(AsTold(kernel'[X]))

TraceShrinkMask ==
  /\ kernel[X].serving = About[3]
  /\ \E r \in kernel[X].mask \ About[2] : ShrinkMask(X, r)
  /\ Plain(AsTold(kernel'[X]))

TraceGrowMask ==
  /\ kernel[X].serving = About[3] /\ control[X].joining \in About[2]
  /\ GrowMask(X)
  /\ AsTold(kernel'[X]) /\ Plain(TRUE)

TraceGrowServe ==
  /\ kernel[X].mask = About[2]
  /\ \E r \in About[3] \ kernel[X].serving : GrowServe(X, r)
  /\ Plain(AsTold(kernel'[X]))

TraceOpenKernel ==
  /\ OpenKernel(X) /\ AsTold(kernel'[X]) /\ Plain(TRUE)

\* A control plane begins.  If its data plane is closed, it tells nothing of it.
TraceBegin ==
  /\ About[1] = 0 \/ AsTold(kernel[X])
  /\ UNCHANGED <<vars, history>> /\ Advance(TRUE)
  /\ sure' = sure \ {X} /\ joiners' = [joiners EXCEPT ![X] = {}]

\* The data plane has handled messages.
TraceServed == AsTold(kernel[X]) /\ Seen

\* It has released what About[4] holds: as in HandleReadReply, its lease has held
\* since the read began, and as in the code, the replica serves.  About[5] are the
\* epochs for which the lease ran out while the read was on its way.
TraceReleased ==
  /\ AsTold(kernel[X]) /\ About[4] \in kernel[X].serving
  /\ Lease => LeaseHeld(X, [e \in 1..LastEpoch |->
                            IF e \in About[5] THEN {} ELSE silent[e]])
  /\ Seen

-----------------------------------------------------------------------------
(***************************************************************************)
(* The configuration: About is its epoch, members, and those in sync.  X   *)
(* is the owner of the epoch, who alone may make it.                       *)
(***************************************************************************)
Configured(c) == c.members = About[2] /\ c.inSync = About[3]

\* What is changed is none of who is a member: an id is minted, say.
ConfigureTheRest ==
  /\ About[1] = Epoch /\ Config.coordinator = X /\ Configured(Config)
  /\ UNCHANGED vars

TraceConfigure ==
  LET done == Len(configs') = About[1] /\ Configured(configs'[About[1]])
  IN  /\ \/ About[1] = Epoch + 1 /\ TakeEpoch(X) /\ done
         \/ About[1] = Epoch /\ \E r \in Config.members \ About[2] :
              ShrinkConfig(X, r)
         \/ About[1] = Epoch /\ GrowConfig(X) /\ done
         \/ About[1] = Epoch /\ \E r \in About[3] \ Config.inSync :
              EnterSync(X, r) /\ done
         \/ About[1] = Epoch /\ CutMembers(X) /\ done
         \/ ConfigureTheRest
      /\ Advance(done)
      /\ history' = IF done THEN Append(history, <<X>> \o About) ELSE history
      /\ sure' = IF done THEN sure \cup {X} ELSE sure
      /\ joiners' = [joiners EXCEPT ![X] = @ \ About[2]]

\* A control plane says which configuration it has made.
TraceSwapped ==
  /\ About[1] \in 1..Len(history)
  /\ history[About[1]] = <<X, About[2], About[3], About[4]>>
  /\ Seen

\* Or that it has asked for one, and does not know what became of that.
TraceUnsure ==
  /\ UNCHANGED <<vars, joiners, history>> /\ Advance(TRUE)
  /\ sure' = sure \ {X}

-----------------------------------------------------------------------------
(***************************************************************************)
(* The replicas: About is the node, its id, and its epoch.                 *)
(***************************************************************************)
Node == About[1]

IsSo(n) == /\ n \in Nodes
           /\ nodes[n].id = About[2] /\ nodes[n].epoch = About[3]

TraceAssigned ==
  /\ Node \in Nodes /\ Assign(X, Node) /\ nodes'[Node].id = About[2]
  /\ nodes'[Node].epoch = About[3]
  /\ Advance(TRUE) /\ UNCHANGED <<sure, history>>
  /\ joiners' = [joiners EXCEPT ![X] = @ \cup {About[2]}]

TraceFenced ==
  /\ Node \in Nodes /\ nodes[Node].id = About[2]
  /\ Fence(X, Node) /\ nodes'[Node].epoch = About[3] /\ Plain(TRUE)

TraceOpened ==
  /\ IsSo(Node) /\ Open(X, About[2]) /\ Plain(TRUE)

\* About[4] is the source.  The session records are read first.  A member that
\* has caught up is asked to do so again by a control plane that does not know
\* from whom it has.
TraceCaughtUp ==
  /\ IsSo(Node) /\ About[4] \in Nodes
  /\ \/ ReadSessions(Node, About[4]) /\ nodes[Node].catchup = "none"
     \/ ReadRecords(Node, About[4])
     \/ ApplySnapshot(Node)
     \/ /\ nodes[Node].catchup = "done" /\ UNCHANGED vars
        /\ nodes[About[4]].id \in Config.inSync
  /\ Plain(nodes'[Node].catchup = "done")

TraceExpelled == IsSo(Node) /\ Crash(Node) /\ Plain(TRUE)

\* The process that the node had has ended, and there is another one.
TraceEnded ==
  /\ IF nodes[Node].id = None THEN UNCHANGED vars ELSE Crash(Node)
  /\ Plain(TRUE)

\* The replica has answered messages.
TraceAnswered == IsSo(Node) /\ nodes[Node].open /\ Seen

-----------------------------------------------------------------------------
(***************************************************************************)
(* The taking over of an epoch: About is the epoch, and who is reached.    *)
(***************************************************************************)
Reached(r) ==
  NodeOf(r) \in Nodes /\ Holds(r) /\ nodes[NodeOf(r)].epoch = About[1]

TraceFence ==
  /\ Taking(X, "fence") /\ Epoch = About[1]
  /\ \A r \in About[2] : Reached(r)
  /\ Seen

TraceWaitForLease == WaitForLease(X) /\ Plain(TRUE)

TraceCollect ==
  /\ Collect(X) /\ control'[X].taking = About[1]
  /\ control'[X].from = About[2] /\ Plain(TRUE)

TraceInstall ==
  /\ control[X].taking = About[1] /\ control[X].from = About[2]
  /\ \E r \in About[2] : Install(X, r)
  /\ Plain(control'[X].installed = About[2])

TraceOpenMembers ==
  /\ \A r \in About[2] : Reached(r) /\ nodes[NodeOf(r)].open
  /\ Seen

\* A step that nothing depends on here.
TraceIgnored == Seen

Step ==
  CASE Action = "ShrinkServing" -> TraceShrinkServing
    [] Action = "ShrinkMask"    -> TraceShrinkMask
    [] Action = "GrowMask"      -> TraceGrowMask
    [] Action = "GrowServe"     -> TraceGrowServe
    [] Action = "OpenKernel"    -> TraceOpenKernel
    [] Action = "Begin"         -> TraceBegin
    [] Action = "Served"        -> TraceServed
    [] Action = "Released"      -> TraceReleased
    [] Action = "Configure"     -> TraceConfigure
    [] Action = "Swapped"       -> TraceSwapped
    [] Action = "Unsure"        -> TraceUnsure
    [] Action = "Assigned"      -> TraceAssigned
    [] Action = "Fenced"        -> TraceFenced
    [] Action = "Opened"        -> TraceOpened
    [] Action = "CaughtUp"      -> TraceCaughtUp
    [] Action = "Expelled"      -> TraceExpelled
    [] Action = "Ended"         -> TraceEnded
    [] Action = "Answered"      -> TraceAnswered
    [] Action = "Fence"         -> TraceFence
    [] Action = "WaitForLease"  -> TraceWaitForLease
    [] Action = "Collect"       -> TraceCollect
    [] Action = "Install"       -> TraceInstall
    [] Action = "OpenMembers"   -> TraceOpenMembers
    [] Action = "Ignored"       -> TraceIgnored
    [] OTHER -> FALSE

-----------------------------------------------------------------------------
\* A member that does not serve is suspected, which changes nothing but that.
Suspect ==
  /\ Action = "Configure" /\ About[1] = Epoch
  /\ \E r \in Config.members \ About[2] :
       /\ r \notin kernel[X].serving \cup faults.suspects
       /\ ShrinkServing(X, r)
  /\ UNCHANGED joiners

TakeBack ==
  /\ Action = "GrowServe" /\ X \in sure
  /\ LET r == faults.suspects \cap (About[3] \ kernel[X].serving)
     IN  /\ r # {}
         /\ faults' = [faults EXCEPT !.suspects = @ \ r]
  /\ UNCHANGED <<shard, kernel, nodes, messages, replies, clients, committed,
                 joiners>>

\* Does the data plane show a last step that a control plane did not live to tell?
LastStepMissing ==
  /\ Killed /\ Action \in {"Begin", "Served", "Released"} /\ About[1] # 0
  /\ ~AsTold(kernel[X])

\* The control plane forgets who was joining, or turns to another one.
Forget ==
  /\ \/ Action \in {"Assigned", "Begin"}
     \/ Action = "ShrinkMask" /\ control[X].joining \notin About[2]
  /\ CrashControl(X)
  /\ UNCHANGED joiners

TurnTo(r) ==
  /\ r \in joiners[X] /\ control[X].joining # r /\ Holds(r)
  /\ control' = [control EXCEPT ![X].joining = r]
  /\ UNCHANGED <<configs, silent, kernel, nodes, messages, replies, clients,
                 faults, committed, joiners>>

Turn ==
  \/ Action = "GrowMask" /\ \E r \in About[2] \ kernel[X].mask : TurnTo(r)
  \/ LastStepMissing /\ \E r \in About[2] \ kernel[X].mask : TurnTo(r)
  \/ /\ Action = "Configure" /\ About[1] = Epoch
     /\ \E r \in About[2] \ Config.members : TurnTo(r)

\* The last step of a control plane that was killed, as its data plane shows.
LastStep ==
  /\ LastStepMissing
  /\ IF kernel[X].epoch # About[1] THEN OpenKernel(X)
     ELSE \/ \E r \in kernel[X].serving \ About[3] : ShrinkServing(X, r)
          \/ \E r \in kernel[X].mask \ About[2] : ShrinkMask(X, r)
          \/ control[X].joining \in About[2] /\ GrowMask(X)
          \/ \E r \in About[3] \ kernel[X].serving : GrowServe(X, r)
  /\ UNCHANGED joiners

Untold ==
  /\ Suspect \/ TakeBack \/ Forget \/ Turn \/ LastStep
  /\ UNCHANGED <<line, told, sure, history>>

-----------------------------------------------------------------------------
NoSlot(c) == None
NoCalls(c, n) == {}

TraceInit ==
  /\ Init
  /\ number \in 1..Len(Runs) /\ run \in {Runs[number]}
  /\ line = run.start /\ told = run.told /\ history = run.history
  /\ sure = {First} /\ joiners = [x \in Coordinators |-> {}]

TraceNext ==
  /\ line <= Len(run.events)
  /\ told[By] + 1 = From
  /\ X \in Coordinators \/ Action \in {"Answered", "Ended", "Ignored"}
  /\ Step \/ Untold
  /\ Chain'
  /\ UNCHANGED <<run, number>>

TraceSpec == TraceInit /\ [][TraceNext]_traceVars
=============================================================================
