/* cudart of a CUDA device that computes nothing.

   Device memory is the host's, kernels do nothing, events are always over; launches, copies by
   direction and waits of the host are counted. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <sys/mman.h>
#include <cuda_runtime_api.h>
#include "counters.h"

atomic_long fc_launch, fc_gemm, fc_conv, fc_sync_stream, fc_sync_dev, fc_sync_event, fc_event_query,
    fc_memcpy_sync, fc_h2d, fc_d2h, fc_d2d, fc_h2d_bytes, fc_d2h_bytes, fc_d2d_bytes, fc_memset,
    fc_malloc, fc_free, fc_hostalloc, fc_event_record, fc_wait_event, fc_nccl, fc_d2h_pageable,
    fc_h2d_pageable, fc_find, fc_malloc_bytes, fc_ptrattr;

typedef struct {
    char* p;
    size_t n;
    int type;
    int dev;
} Block;
static Block blocks[65536];
static int nblocks;
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static __thread int device;
static int ndev = -1;
static int count() {
    if (ndev < 0) {
        char* e = getenv("FAKE_GPUS");
        ndev = e ? atoi(e) : 1;
    }
    return ndev;
}
static void add(void* p, size_t n, int type) {
    pthread_mutex_lock(&mu);
    for (int i = 0; i < nblocks; i++)
        if (!blocks[i].p) {
            blocks[i] = (Block){p, n, type, device};
            pthread_mutex_unlock(&mu);
            return;
        }
    blocks[nblocks++] = (Block){p, n, type, device};
    pthread_mutex_unlock(&mu);
}
static Block find(const void* p) {
    Block r = {0};
    pthread_mutex_lock(&mu);
    for (int i = 0; i < nblocks; i++)
        if (blocks[i].p && (char*)p >= blocks[i].p && (char*)p < blocks[i].p + blocks[i].n) {
            r = blocks[i];
            break;
        }
    pthread_mutex_unlock(&mu);
    return r;
}
static void drop(void* p) {
    Block r = {0};
    pthread_mutex_lock(&mu);
    for (int i = 0; i < nblocks; i++)
        if (blocks[i].p == p) {
            r = blocks[i];
            blocks[i].p = 0;
            break;
        }
    pthread_mutex_unlock(&mu);
    if (r.p && r.type != 3) munmap(r.p, r.n);
}
static void* get(size_t n) {
    n = (n + 4095) & ~4095ul;
    void* p =
        mmap(0, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? 0 : p;
}
cudaError_t cudaMalloc(void** p, size_t n) {
    fc_malloc++;
    fc_malloc_bytes += n;
    *p = get(n);
    add(*p, (n + 4095) & ~4095ul, 2);
    return *p ? 0 : cudaErrorMemoryAllocation;
}
cudaError_t cudaFree(void* p) {
    fc_free++;
    if (p) drop(p);
    return 0;
}
cudaError_t cudaHostAlloc(void** p, size_t n, unsigned f) {
    fc_hostalloc++;
    *p = get(n);
    add(*p, (n + 4095) & ~4095ul, 1);
    return 0;
}
cudaError_t cudaFreeHost(void* p) {
    if (p) drop(p);
    return 0;
}
cudaError_t cudaHostRegister(void* p, size_t n, unsigned f) {
    add(p, n, 3);
    return 0;
}
cudaError_t cudaHostUnregister(void* p) {
    drop(p);
    return 0;
}
cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes* a, const void* p) {
    fc_ptrattr++;
    memset(a, 0, sizeof *a);
    Block b = find(p);
    a->type = b.p ? (b.type == 2 ? cudaMemoryTypeDevice : cudaMemoryTypeHost)
                  : cudaMemoryTypeUnregistered;
    a->device = b.dev;
    a->devicePointer = (void*)p;
    a->hostPointer = (void*)p;
    return 0;
}
static void cp(void* d, const void* s, size_t n, enum cudaMemcpyKind k) {
    if (k == cudaMemcpyDefault) {
        int dd = find(d).type == 2, sd = find(s).type == 2;
        k = sd ? (dd ? cudaMemcpyDeviceToDevice : cudaMemcpyDeviceToHost)
               : (dd ? cudaMemcpyHostToDevice : cudaMemcpyHostToHost);
    }
    if (k == cudaMemcpyHostToDevice) {
        fc_h2d++;
        fc_h2d_bytes += n;
        if (!find(s).p) fc_h2d_pageable++;
    } else if (k == cudaMemcpyDeviceToHost) {
        fc_d2h++;
        fc_d2h_bytes += n;
        if (!find(d).p) fc_d2h_pageable++;
    } else {
        fc_d2d++;
        fc_d2d_bytes += n;
    }
    static int no = -1;
    if (no < 0) no = getenv("FAKE_NOCOPY") != 0;
    if (k == cudaMemcpyDeviceToDevice ? (!no && n < (4 << 20)) : 1) memmove(d, s, n);
}
cudaError_t cudaMemcpy(void* d, const void* s, size_t n, enum cudaMemcpyKind k) {
    fc_memcpy_sync++;
    cp(d, s, n, k);
    return 0;
}
cudaError_t cudaMemcpyAsync(void* d, const void* s, size_t n, enum cudaMemcpyKind k,
                            cudaStream_t t) {
    cp(d, s, n, k);
    return 0;
}
cudaError_t cudaMemcpyPeerAsync(void* d, int dd, const void* s, int sd, size_t n, cudaStream_t t) {
    cp(d, s, n, cudaMemcpyDeviceToDevice);
    return 0;
}
cudaError_t cudaMemcpy2DAsync(void* d, size_t dp, const void* s, size_t sp, size_t w, size_t h,
                              enum cudaMemcpyKind k, cudaStream_t t) {
    for (size_t i = 0; i < h; i++) cp((char*)d + i * dp, (char*)s + i * sp, w, k);
    return 0;
}
cudaError_t cudaMemset(void* d, int v, size_t n) {
    fc_memset++;
    if (n < 65536 && !getenv("FAKE_NOCOPY")) memset(d, v, n);
    return 0;
}
cudaError_t cudaMemsetAsync(void* d, int v, size_t n, cudaStream_t t) {
    fc_memset++;
    if (n < 65536 && !getenv("FAKE_NOCOPY")) memset(d, v, n);
    return 0;
}
cudaError_t cudaMemGetInfo(size_t* f, size_t* t) {
    *f = 79ul << 30;
    *t = 80ul << 30;
    return 0;
}
cudaError_t cudaGetDeviceCount(int* n) {
    *n = count();
    return *n ? 0 : cudaErrorNoDevice;
}
cudaError_t cudaGetDevice(int* d) {
    *d = device;
    return 0;
}
cudaError_t cudaSetDevice(int d) {
    if (d < 0 || d >= count()) return cudaErrorInvalidDevice;
    device = d;
    return 0;
}
cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp* p, int d) {
    memset(p, 0, sizeof *p);
    strcpy(p->name, "Fake H100");
    p->totalGlobalMem = 80ul << 30;
    p->sharedMemPerBlock = 49152;
    p->regsPerBlock = 65536;
    p->warpSize = 32;
    p->maxThreadsPerBlock = 1024;
    p->maxThreadsDim[0] = 1024;
    p->maxThreadsDim[1] = 1024;
    p->maxThreadsDim[2] = 64;
    p->maxGridSize[0] = 2147483647;
    p->maxGridSize[1] = 65535;
    p->maxGridSize[2] = 65535;
    p->major = 9;
    p->minor = 0;
    p->multiProcessorCount = 132;
    p->maxThreadsPerMultiProcessor = 2048;
    p->sharedMemPerMultiprocessor = 233472;
    p->regsPerMultiprocessor = 65536;
    p->sharedMemPerBlockOptin = 232448;
    p->l2CacheSize = 50 << 20;
    p->textureAlignment = 512;
    p->concurrentKernels = 1;
    p->memoryBusWidth = 5120;
    return 0;
}
cudaError_t cudaDeviceGetAttribute(int* v, enum cudaDeviceAttr a, int d) {
    switch (a) {
        case cudaDevAttrMaxThreadsPerBlock:
            *v = 1024;
            break;
        case cudaDevAttrMultiProcessorCount:
            *v = 132;
            break;
        case cudaDevAttrWarpSize:
            *v = 32;
            break;
        case cudaDevAttrComputeCapabilityMajor:
            *v = 9;
            break;
        case cudaDevAttrComputeCapabilityMinor:
            *v = 0;
            break;
        case cudaDevAttrMaxSharedMemoryPerBlockOptin:
            *v = 232448;
            break;
        case cudaDevAttrMaxSharedMemoryPerBlock:
            *v = 49152;
            break;
        case cudaDevAttrMaxThreadsPerMultiProcessor:
            *v = 2048;
            break;
        case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
            *v = 233472;
            break;
        case cudaDevAttrMaxGridDimX:
            *v = 2147483647;
            break;
        case cudaDevAttrMaxGridDimY:
        case cudaDevAttrMaxGridDimZ:
            *v = 65535;
            break;
        case cudaDevAttrMaxBlocksPerMultiprocessor:
            *v = 32;
            break;
        case cudaDevAttrL2CacheSize:
            *v = 50 << 20;
            break;
        case cudaDevAttrMaxRegistersPerBlock:
            *v = 65536;
            break;
        default:
            *v = 0;
    }
    return 0;
}
cudaError_t cudaDriverGetVersion(int* v) {
    *v = 13000;
    return 0;
}
cudaError_t cudaRuntimeGetVersion(int* v) {
    *v = 13000;
    return 0;
}
cudaError_t cudaStreamSynchronize(cudaStream_t s) {
    fc_sync_stream++;
    return 0;
}
cudaError_t cudaDeviceSynchronize(void) {
    fc_sync_dev++;
    return 0;
}
cudaError_t cudaEventSynchronize(cudaEvent_t e) {
    fc_sync_event++;
    return 0;
}
cudaError_t cudaEventQuery(cudaEvent_t e) {
    fc_event_query++;
    return 0;
}
cudaError_t cudaStreamQuery(cudaStream_t e) { return 0; }
static atomic_long ids = 0x1000;
cudaError_t cudaEventCreate(cudaEvent_t* e) {
    *e = (void*)(ids += 16);
    return 0;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* e, unsigned f) {
    *e = (void*)(ids += 16);
    return 0;
}
cudaError_t cudaEventDestroy(cudaEvent_t e) { return 0; }
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s) {
    fc_event_record++;
    return 0;
}
cudaError_t cudaEventRecordWithFlags(cudaEvent_t e, cudaStream_t s, unsigned f) {
    fc_event_record++;
    return 0;
}
cudaError_t cudaEventElapsedTime(float* f, cudaEvent_t a, cudaEvent_t b) {
    *f = 20.0f;
    return 0;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned f) {
    fc_wait_event++;
    return 0;
}
cudaError_t cudaStreamCreate(cudaStream_t* s) {
    *s = (void*)(ids += 16);
    return 0;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* s, unsigned f) {
    *s = (void*)(ids += 16);
    return 0;
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* s, unsigned f, int p) {
    *s = (void*)(ids += 16);
    return 0;
}
cudaError_t cudaStreamDestroy(cudaStream_t s) { return 0; }
cudaError_t cudaStreamGetPriority(cudaStream_t s, int* p) {
    *p = 0;
    return 0;
}
cudaError_t cudaDeviceGetStreamPriorityRange(int* a, int* b) {
    *a = 0;
    *b = -5;
    return 0;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t s, enum cudaStreamCaptureStatus* c) {
    *c = 0;
    return 0;
}
cudaError_t cudaThreadExchangeStreamCaptureMode(enum cudaStreamCaptureMode* m) { return 0; }
cudaError_t cudaGetLastError(void) { return 0; }
cudaError_t cudaPeekAtLastError(void) { return 0; }
cudaError_t cudaDeviceCanAccessPeer(int* c, int a, int b) {
    *c = 1;
    return 0;
}
cudaError_t cudaDeviceEnablePeerAccess(int a, unsigned f) { return 0; }
cudaError_t cudaDeviceGetPCIBusId(char* b, int n, int d) {
    snprintf(b, n, "0000:%02d:00.0", d + 1);
    return 0;
}
cudaError_t cudaLaunchKernel(const void* f, dim3 g, dim3 b, void** a, size_t s, cudaStream_t t) {
    fc_launch++;
    return 0;
}
cudaError_t __cudaLaunchKernel(void* k, dim3 g, dim3 b, void** a, size_t s, cudaStream_t t) {
    fc_launch++;
    return 0;
}
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* c, const void* f, void** a) {
    fc_launch++;
    return 0;
}
cudaError_t __cudaGetKernel(void** k, const void* f) {
    *k = (void*)f;
    return 0;
}
cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes* a, const void* f) {
    memset(a, 0, sizeof *a);
    a->maxThreadsPerBlock = 1024;
    a->numRegs = 32;
    a->binaryVersion = 90;
    a->ptxVersion = 90;
    return 0;
}
cudaError_t cudaFuncSetAttribute(const void* f, enum cudaFuncAttribute a, int v) { return 0; }
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* n, const void* f, int b,
                                                                   size_t s, unsigned fl) {
    *n = 2;
    return 0;
}
cudaError_t cudaGetSymbolAddress(void** p, const void* s) {
    static char z[1 << 20];
    *p = z;
    return 0;
}
cudaError_t cudaMemcpyToSymbol(const void* s, const void* d, size_t n, size_t o,
                               enum cudaMemcpyKind k) {
    return 0;
}
int fc_ok() { return 0; }
int fc_primary(int d, unsigned* f, int* a) {
    if (f) *f = 0;
    if (a) *a = 1;
    return 0;
}
cudaError_t cudaGetDriverEntryPointByVersion(const char* n, void** p, unsigned v,
                                             unsigned long long f,
                                             enum cudaDriverEntryPointQueryResult* r) {
    *p = !strcmp(n, "cuDevicePrimaryCtxGetState") ? (void*)fc_primary : (void*)fc_ok;
    if (r) *r = cudaDriverEntryPointSuccess;
    return 0;
}
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* m, int d) {
    *m = (void*)1;
    return 0;
}

/* ---- counters ---- */
static struct {
    const char* n;
    atomic_long* v;
} all[] = {{"launch", &fc_launch},
           {"gemm", &fc_gemm},
           {"conv", &fc_conv},
           {"nccl", &fc_nccl},
           {"sync_stream", &fc_sync_stream},
           {"sync_dev", &fc_sync_dev},
           {"sync_event", &fc_sync_event},
           {"memcpy_sync", &fc_memcpy_sync},
           {"h2d", &fc_h2d},
           {"h2d_bytes", &fc_h2d_bytes},
           {"h2d_pageable", &fc_h2d_pageable},
           {"d2h", &fc_d2h},
           {"d2h_bytes", &fc_d2h_bytes},
           {"d2h_pageable", &fc_d2h_pageable},
           {"d2d", &fc_d2d},
           {"d2d_bytes", &fc_d2d_bytes},
           {"memset", &fc_memset},
           {"malloc", &fc_malloc},
           {"malloc_bytes", &fc_malloc_bytes},
           {"free", &fc_free},
           {"hostalloc", &fc_hostalloc},
           {"event_record", &fc_event_record},
           {"event_query", &fc_event_query},
           {"wait_event", &fc_wait_event},
           {"find", &fc_find},
           {"ptrattr", &fc_ptrattr}};
int fake_counters(char* out, int n) {
    int k = 0;
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        k += snprintf(out + k, n - k, "%s=%ld ", all[i].n, (long)*all[i].v);
    return k;
}
void fake_reset() {
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) *all[i].v = 0;
}
