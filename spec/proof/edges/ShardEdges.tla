------------------------------ MODULE ShardEdges ------------------------------
(***************************************************************************)
(* Every step of Shard.tla, for the proof of membership, failover and what *)
(* replicas hold to be compared with: its name, and what it changes of     *)
(* what that proof is about.  The rest of the state is left out: clients,  *)
(* sessions, values, reads and marks.                                      *)
(***************************************************************************)
EXTENDS MCShard

VARIABLE act  \* the name of the last step

Versioned(records) == [k \in Keys |-> records[k].version]

Kernels == [x \in Coordinators |->
  [epoch |-> kernel[x].epoch, mask |-> kernel[x].mask,
   serving |-> kernel[x].serving, seq |-> kernel[x].seq,
   entries |-> [s \in Slots |-> LET e == kernel[x].entries[s]
                                IN  <<e.seq, e.key, e.done>>]]]

Controls == [x \in Coordinators |->
  [taking |-> control[x].taking, phase |-> control[x].phase,
   from |-> control[x].from, installed |-> control[x].installed,
   joining |-> control[x].joining,
   recovered |-> Versioned(control[x].recovered.records)]]

Members == [n \in Nodes |->
  [id |-> nodes[n].id, epoch |-> nodes[n].epoch, open |-> nodes[n].open,
   catchup |-> nodes[n].catchup, source |-> nodes[n].source,
   store |-> Versioned(nodes[n].store), old |-> nodes[n].old \cap Keys,
   snapshot |-> Versioned(nodes[n].snapshot.records),
   floor |-> nodes[n].floor]]

Written == {<<m.replica, m.version, m.key>> : m \in Received("Write")}

Acknowledged == {<<m.replica, m.version>> : m \in Received("WriteAck")}

Committed == {w.version : w \in committed}

\* A state, in the order in which EmitWhole tells what has changed.
Whole == <<configs, Kernels, Controls, silent, Members, Written, Acknowledged,
           Committed, faults>>

-----------------------------------------------------------------------------
\* The steps of Next, with their names.  Those that change nothing of what the
\* proof is about are "Data".
Is(name) == act' = name

DataEdge ==
  \/ /\ \/ \E c \in Clients : ClientStep(c)
        \/ \E x \in Coordinators, c \in Clients :
             \/ \E s \in Slots : HandleOpenRequest(x, c, s)
             \/ HandleReadReply(x, c)
        \/ \E n \in Nodes, c \in Clients : HandleRead(n, c)
     /\ Is("Data")
  \/ \E x \in Coordinators :
       \/ \E m \in Received("WriteRequest") :
            HandleWriteRequest(x, m) /\ Is("HandleWriteRequest")
       \/ \E s \in Slots : HandleWriteAck(x, s) /\ Is("HandleWriteAck")
       \/ \E n \in Nodes : Settle(x, n) /\ Is("Settle")
  \/ \E n \in Nodes, m \in Received("Write") :
       HandleWrite(n, m) /\ Is("HandleWrite")

NodeEdge(n) ==
  \/ \E source \in Nodes :
       \/ ReadSessions(n, source) /\ Is("ReadSessions")
       \/ ReadRecords(n, source) /\ Is("ReadRecords")
  \/ ApplySnapshot(n) /\ Is("ApplySnapshot")
  \/ Crash(n) /\ Is("Crash")

ControlEdge(x) ==
  \/ \E r \in kernel[x].mask : ShrinkServing(x, r) /\ Is("ShrinkServing")
  \/ \E r \in Config.members : ShrinkConfig(x, r) /\ Is("ShrinkConfig")
  \/ \E r \in kernel[x].mask : ShrinkMask(x, r) /\ Is("ShrinkMask")
  \/ \E n \in Nodes : Assign(x, n) /\ Is("Assign")
  \/ GrowMask(x) /\ Is("GrowMask")
  \/ GrowConfig(x) /\ Is("GrowConfig")
  \/ \E r \in Config.members : EnterSync(x, r) /\ Is("EnterSync")
  \/ \E r \in kernel[x].mask : GrowServe(x, r) /\ Is("GrowServe")
  \/ TakeEpoch(x) /\ Is("TakeEpoch")
  \/ \E n \in Nodes : Fence(x, n) /\ Is("Fence")
  \/ WaitForLease(x) /\ Is("WaitForLease")
  \/ Collect(x) /\ Is("Collect")
  \/ \E r \in Config.members : Install(x, r) /\ Is("Install")
  \/ CutMembers(x) /\ Is("CutMembers")
  \/ \E r \in Config.members : Open(x, r) /\ Is("Open")
  \/ OpenKernel(x) /\ Is("OpenKernel")
  \/ CrashControl(x) /\ Is("CrashControl")

EdgeInit == Init /\ act = "Init"

EdgeNext ==
  \/ DataEdge
  \/ \E n \in Nodes : NodeEdge(n)
  \/ \E x \in Coordinators : ControlEdge(x)
  \/ LosePower /\ Is("LosePower")

View == vars

-----------------------------------------------------------------------------
Constants ==
  [Coordinators |-> Coordinators, Nodes |-> Nodes, Ids |-> Ids, Keys |-> Keys,
   Slots |-> Slots, LastEpoch |-> LastEpoch, LastId |-> LastId,
   LastSeq |-> LastSeq, Most |-> Removals + Crashes + PowerLosses,
   Survives |-> Survives, Durable |-> Durable, Settles |-> Settles,
   Cures |-> [WaitOut |-> WaitOut, Drift |-> Drift]]

\* The proof knows no tombstones that are collected.
ASSUME ~Collects

ASSUME PrintT("CONSTANTS\t" \o ToString(Constants))

Changed(old, new) == IF old = new THEN "" ELSE ToString(new)

EmitWhole ==
  PrintT("EDGE\t" \o act' \o "\t<<>>\t" \o ToString(Whole)
    \o "\t" \o Changed(configs, configs')
    \o "\t" \o Changed(Kernels, Kernels')
    \o "\t" \o Changed(Controls, Controls')
    \o "\t" \o Changed(silent, silent')
    \o "\t" \o Changed(Members, Members')
    \o "\t" \o Changed(Written, Written')
    \o "\t" \o Changed(Acknowledged, Acknowledged')
    \o "\t" \o Changed(Committed, Committed')
    \o "\t" \o Changed(faults, faults'))
=============================================================================
