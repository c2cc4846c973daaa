------------------------------ MODULE ShardEdges ------------------------------
(***************************************************************************)
(* Shard.tla with the name and the arguments of each step, which are       *)
(* printed with what the step changes, as in DalioEdges.tla.               *)
(*                                                                         *)
(* In two cases the code takes fewer steps than Shard.tla allows, and so   *)
(* does this module.  A reply is released only if its sender still serves  *)
(* when it arrives; and a replica that is fenced gives up its catch-up.    *)
(***************************************************************************)
EXTENDS MCShard

VARIABLE act  \* the name and the arguments of the last step

rest == [configs |-> configs, kernel |-> kernel, control |-> control,
         silent |-> silent, nodes |-> nodes, replies |-> replies,
         sessions |-> sessions, requests |-> requests, calls |-> calls,
         begun |-> begun, faults |-> faults]

\* States of the protocol: this is what is told apart.
state == <<messages, rest>>

Is(name, arguments) == act' = <<name>> \o arguments

ClientEdge(c) ==
  \/ \E k \in Keys : InvokeRead(c, k) /\ Is("InvokeRead", <<c, k>>)
  \/ \E k \in Keys, v \in Contents :
       InvokeWrite(c, k, v) /\ Is("InvokeWrite", <<c, k, v>>)

DataEdge(x) ==
  \/ \E c \in Clients, s \in Slots :
       HandleOpenRequest(x, c, s) /\ Is("HandleOpenRequest", <<x, c, s>>)
  \/ \E m \in Received("WriteRequest") :
       HandleWriteRequest(x, m) /\ Is("HandleWriteRequest", <<x, m>>)
  \/ \E s \in Slots : HandleWriteAck(x, s) /\ Is("HandleWriteAck", <<x, s>>)
  \/ \E c \in Clients : /\ HandleReadReply(x, c)
                        /\ replies[c].replica \in kernel[x].serving
                        /\ Is("HandleReadReply", <<x, c>>)

ReplicaEdge(n) ==
  \/ \E m \in Received("Write") :
       HandleWrite(n, m) /\ Is("HandleWrite", <<n, m>>)
  \/ \E c \in Clients : HandleRead(n, c) /\ Is("HandleRead", <<n, c>>)
  \/ \E q \in Nodes : ReadSessions(n, q) /\ Is("ReadSessions", <<n, q>>)
  \/ \E q \in Nodes : ReadRecords(n, q) /\ Is("ReadRecords", <<n, q>>)
  \/ /\ ApplySnapshot(n) /\ nodes[n].open /\ nodes[n].epoch = Epoch
     /\ Is("ApplySnapshot", <<n>>)

MembersEdge(x) ==
  \/ \E r \in kernel[x].mask :
       ShrinkServing(x, r) /\ Is("ShrinkServing", <<x, r>>)
  \/ \E r \in Config.members :
       ShrinkConfig(x, r) /\ Is("ShrinkConfig", <<x, r>>)
  \/ \E r \in kernel[x].mask : ShrinkMask(x, r) /\ Is("ShrinkMask", <<x, r>>)
  \/ \E n \in Nodes : Assign(x, n) /\ Is("Assign", <<x, n>>)
  \/ GrowMask(x) /\ Is("GrowMask", <<x>>)
  \/ GrowConfig(x) /\ Is("GrowConfig", <<x>>)
  \/ \E r \in Config.members : EnterSync(x, r) /\ Is("EnterSync", <<x, r>>)
  \/ \E r \in kernel[x].mask : GrowServe(x, r) /\ Is("GrowServe", <<x, r>>)
  \/ \E n \in Nodes : Settle(x, n) /\ Is("Settle", <<x, n>>)
  \/ \E n \in Nodes :
       CollectTombstones(x, n) /\ Is("CollectTombstones", <<x, n>>)

FailoverEdge(x) ==
  \/ TakeEpoch(x) /\ Is("TakeEpoch", <<x>>)
  \/ \E n \in Nodes : Fence(x, n) /\ Is("Fence", <<x, n>>)
  \/ WaitForLease(x) /\ Is("WaitForLease", <<x>>)
  \/ Collect(x) /\ Is("Collect", <<x>>)
  \/ \E r \in Config.members : Install(x, r) /\ Is("Install", <<x, r>>)
  \/ CutMembers(x) /\ Is("CutMembers", <<x>>)
  \/ \E r \in Config.members : Open(x, r) /\ Is("Open", <<x, r>>)
  \/ OpenKernel(x) /\ Is("OpenKernel", <<x>>)
  \/ CrashControl(x) /\ Is("CrashControl", <<x>>)

EdgeNext ==
  \/ \E c \in Clients : ClientEdge(c)
  \/ \E x \in Coordinators : DataEdge(x) \/ MembersEdge(x) \/ FailoverEdge(x)
  \/ \E n \in Nodes : ReplicaEdge(n)
  \/ \E n \in Nodes : Crash(n) /\ Is("Crash", <<n>>)
  \/ LosePower /\ Is("LosePower", <<>>)

ASSUME PrintT("CALLS\t" \o ToString([c \in Clients |->
                [n \in 1..4 |-> Wanted(c, n)]]))

EdgeInit == Init /\ act = <<>> /\ TLCSet(1, <<>>)

From == \/ TLCGet(1) = state
        \/ /\ TLCSet(1, state)
           /\ PrintT("FROM\t" \o ToString(messages) \o "\t" \o ToString(rest))

Emit ==
  /\ From
  /\ PrintT("STEP\t" \o ToString(act')
            \o "\t" \o ToString(messages' \ messages)
            \o "\t" \o ToString(messages \ messages')
            \o "\t" \o (IF rest' = rest THEN "" ELSE ToString(rest')))
=============================================================================
