---------------------------- MODULE ShardFailover ----------------------------
(***************************************************************************)
(* How a coordinator of Shard.tla takes over, one step of its control      *)
(* plane at a time.                                                        *)
(***************************************************************************)
EXTENDS ShardMembers

-----------------------------------------------------------------------------
(***************************************************************************)
(*                                 Failover                                *)
(*                                                                         *)
(* A coordinator takes over: in the next epoch it is the owner.  That may  *)
(* be the old owner itself.  Unless CompareAndSwap is kept it may take     *)
(* over an epoch that another has taken a moment before.                   *)
(***************************************************************************)
TakeEpoch(x) ==
  LET taken == [Config EXCEPT !.coordinator = x]
      again == /\ ~CompareAndSwap /\ Epoch > 1 /\ Config.coordinator # x
               /\ Epoch \notin {control[x].taking, kernel[x].epoch}
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
(* It collects what may differ among the fenced in-sync members: their     *)
(* records above their floors, and their session records.                  *)
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

Collect(x) ==
  LET fenced == IF FenceFirst THEN Fenced
                ELSE {r \in Config.members : Holds(r)}
      R == IF RecoverInSync THEN fenced \cap Config.inSync ELSE fenced
  IN  /\ Taking(x, "fence") /\ R # {}
      /\ \/ Config.inSync \subseteq R
         \/ silent[Epoch] # {} \/ ~WaitOut \/ ~FenceFirst
         \/ ~Drift
      /\ control' = [control EXCEPT ![x].phase = "install", ![x].from = R,
                                    ![x].recovered = Recovered(R)]
      /\ UNCHANGED <<configs, silent, kernel, nodes, messages, replies,
                     clients, faults, committed>>

(***************************************************************************)
(* It gives each member what it lacks.                                     *)
(***************************************************************************)
Install(x, r) ==
  LET n == NodeOf(r)
      found == control[x].recovered
  IN  /\ Taking(x, "install") /\ r \in control[x].from \ control[x].installed
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
(* When all have it they become the only members.  Until then the others   *)
(* are as good to begin again with, should one of these be lost.           *)
(***************************************************************************)
CutMembers(x) ==
  LET R == control[x].from
  IN  /\ Taking(x, "install")
      /\ IF InstallFirst THEN R \subseteq control[x].installed
                         ELSE control[x].installed # {}
      /\ configs' = [configs EXCEPT ![Epoch].members = R,
                                    ![Epoch].inSync = R]
      /\ control' = [control EXCEPT ![x].phase = "open"]
      /\ UNCHANGED <<silent, kernel, nodes, messages, replies, clients,
                     faults, committed>>

(***************************************************************************)
(* Then they are opened: each takes everything to be settled, and forgets  *)
(* what was recent.                                                        *)
(***************************************************************************)
Open(x, r) ==
  LET n == NodeOf(r)
  IN  /\ Taking(x, "open") /\ r \in control[x].installed
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
  IN  /\ Taking(x, "open") \/ (Taking(x, "fence") /\ ~RecoverFirst)
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
=============================================================================
