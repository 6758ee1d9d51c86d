/* NCCL: a collective is counted, and every other rank has what this one has. */
#include <stdlib.h>
#include <string.h>
#include "counters.h"
#include <nccl.h>
static size_t sz(ncclDataType_t t) {
    switch (t) {
        case ncclInt8:
        case ncclUint8:
        case 10:
        case 11:
            return 1;
        case ncclFloat16:
        case ncclBfloat16:
            return 2;
        case ncclInt32:
        case ncclUint32:
        case ncclFloat32:
            return 4;
        default:
            return 8;
    }
}
static int nranks = 1, myrank = 0;
ncclResult_t ncclGetVersion(int* v) {
    *v = 22809;
    return 0;
}
ncclResult_t ncclGetUniqueId(ncclUniqueId* u) {
    memset(u, 1, sizeof *u);
    return 0;
}
ncclResult_t ncclCommInitRank(ncclComm_t* c, int n, ncclUniqueId u, int r) {
    *c = (void*)0x99;
    nranks = n;
    myrank = r;
    return 0;
}
ncclResult_t ncclCommInitRankConfig(ncclComm_t* c, int n, ncclUniqueId u, int r, ncclConfig_t* k) {
    *c = (void*)0x99;
    nranks = n;
    myrank = r;
    return 0;
}
ncclResult_t ncclCommInitRankScalable(ncclComm_t* c, int n, int r, int k, ncclUniqueId* u,
                                      ncclConfig_t* g) {
    *c = (void*)0x99;
    nranks = n;
    return 0;
}
ncclResult_t ncclCommSplit(ncclComm_t c, int a, int b, ncclComm_t* d, ncclConfig_t* k) {
    *d = (void*)0x9a;
    return 0;
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t c, ncclResult_t* r) {
    *r = 0;
    return 0;
}
ncclResult_t ncclCommCount(const ncclComm_t c, int* n) {
    *n = nranks;
    return 0;
}
ncclResult_t ncclCommUserRank(const ncclComm_t c, int* n) {
    *n = myrank;
    return 0;
}
const char* ncclGetErrorString(ncclResult_t r) { return "fake"; }
const char* ncclGetLastError(ncclComm_t c) { return ""; }
ncclResult_t ncclAllReduce(const void* s, void* d, size_t n, ncclDataType_t t, ncclRedOp_t o,
                           ncclComm_t c, cudaStream_t st) {
    fc_nccl++;
    if (s != d && !getenv("FAKE_NOCOPY")) memmove(d, s, n * sz(t));
    return 0;
}
ncclResult_t ncclReduce(const void* s, void* d, size_t n, ncclDataType_t t, ncclRedOp_t o, int r,
                        ncclComm_t c, cudaStream_t st) {
    fc_nccl++;
    if (s != d && !getenv("FAKE_NOCOPY")) memmove(d, s, n * sz(t));
    return 0;
}
ncclResult_t ncclBroadcast(const void* s, void* d, size_t n, ncclDataType_t t, int r, ncclComm_t c,
                           cudaStream_t st) {
    fc_nccl++;
    return 0;
}
ncclResult_t ncclBcast(void* d, size_t n, ncclDataType_t t, int r, ncclComm_t c, cudaStream_t st) {
    fc_nccl++;
    return 0;
}
ncclResult_t ncclAllGather(const void* s, void* d, size_t n, ncclDataType_t t, ncclComm_t c,
                           cudaStream_t st) {
    fc_nccl++;
    if (n > 65536 && getenv("FAKE_NOCOPY")) return 0;
    for (int i = 0; i < nranks; i++) memmove((char*)d + i * n * sz(t), s, n * sz(t));
    return 0;
}
ncclResult_t ncclReduceScatter(const void* s, void* d, size_t n, ncclDataType_t t, ncclRedOp_t o,
                               ncclComm_t c, cudaStream_t st) {
    fc_nccl++;
    return 0;
}
ncclResult_t ncclSend(const void* s, size_t n, ncclDataType_t t, int p, ncclComm_t c,
                      cudaStream_t st) {
    fc_nccl++;
    return 0;
}
ncclResult_t ncclRecv(void* s, size_t n, ncclDataType_t t, int p, ncclComm_t c, cudaStream_t st) {
    fc_nccl++;
    return 0;
}
