------------------------------ MODULE ShardEdges ------------------------------
(***************************************************************************)
(* Every step of Shard.tla, for the proof of membership and failover to be *)
(* compared with: its name, and what it changes of what that proof is      *)
(* about.  The rest of the state is left out: clients, messages, and what  *)
(* replicas hold.                                                          *)
(***************************************************************************)
EXTENDS MCShard

VARIABLE act  \* the name of the last step

Kernels == [x \in Coordinators |->
  [epoch |-> kernel[x].epoch, mask |-> kernel[x].mask,
   serving |-> kernel[x].serving]]

Controls == [x \in Coordinators |->
  [taking |-> control[x].taking, phase |-> control[x].phase,
   from |-> control[x].from, installed |-> control[x].installed,
   joining |-> control[x].joining]]

Members == [n \in Nodes |->
  [id |-> nodes[n].id, epoch |-> nodes[n].epoch, open |-> nodes[n].open,
   catchup |-> nodes[n].catchup, source |-> nodes[n].source]]

\* A state, in the order in which EmitWhole tells what has changed.
Whole == <<configs, Kernels, Controls, silent, Members, faults>>

-----------------------------------------------------------------------------
\* The steps of Next, with their names. Those that do nothing of what the
\* proof is about are "Data".
Is(name) == act' = name

DataEdge ==
  /\ \/ \E c \in Clients : ClientStep(c)
     \/ \E x \in Coordinators : DataStep(x)
     \/ \E n \in Nodes : \/ \E m \in Received("Write") : HandleWrite(n, m)
                         \/ \E c \in Clients : HandleRead(n, c)
     \/ \E x \in Coordinators, n \in Nodes :
          Settle(x, n) \/ CollectTombstones(x, n)
     \/ \E n \in Nodes : Restart(n)
  /\ Is("Data")

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
  [Coordinators |-> Coordinators, Nodes |-> Nodes, Ids |-> Ids,
   LastEpoch |-> LastEpoch, LastId |-> LastId, Survives |-> Survives,
   Most |-> Removals + Crashes + PowerLosses,
   Cures |-> [CatchUpFirst |-> CatchUpFirst, FenceFirst |-> FenceFirst,
              RecoverInSync |-> RecoverInSync, WaitOut |-> WaitOut,
              Drift |-> Drift, ForgetId |-> ForgetId,
              InstallFirst |-> InstallFirst]]

ASSUME PrintT("CONSTANTS\t" \o ToString(Constants))

Changed(old, new) == IF old = new THEN "" ELSE ToString(new)

EmitWhole ==
  PrintT("EDGE\t" \o act' \o "\t<<>>\t" \o ToString(Whole)
    \o "\t" \o Changed(configs, configs')
    \o "\t" \o Changed(Kernels, Kernels')
    \o "\t" \o Changed(Controls, Controls')
    \o "\t" \o Changed(silent, silent')
    \o "\t" \o Changed(Members, Members')
    \o "\t" \o Changed(faults, faults'))
=============================================================================
