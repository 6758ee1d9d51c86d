/* cuDNN: convolutions are counted; its graph interface accepts everything. */
#include <stdlib.h>
#include <string.h>
#include "counters.h"
#include <cudnn_backend.h>
#include <cudnn.h>
cudnnStatus_t cudnnCreate(cudnnHandle_t* h) {
    *h = (void*)0x88;
    return 0;
}
size_t cudnnGetVersion(void) { return 92400; }
size_t cudnnGetCudartVersion(void) { return 13000; }
const char* cudnnGetErrorString(cudnnStatus_t s) { return "fake"; }
void cudnnGetLastErrorString(char* m, size_t n) {
    if (n) *m = 0;
}
cudnnStatus_t cudnnGetProperty(libraryPropertyType t, int* v) {
    *v = t == MAJOR_VERSION ? 9 : (t == MINOR_VERSION ? 24 : 0);
    return 0;
}
#define MAKE(N, T)          \
    cudnnStatus_t N(T* d) { \
        *d = (void*)0x89;   \
        return 0;           \
    }
MAKE(cudnnCreateTensorDescriptor, cudnnTensorDescriptor_t)
MAKE(cudnnCreateFilterDescriptor, cudnnFilterDescriptor_t)
MAKE(cudnnCreateConvolutionDescriptor, cudnnConvolutionDescriptor_t)
#define FIND(N, P, A) cudnnStatus_t N
cudnnStatus_t cudnnFindConvolutionForwardAlgorithmEx(
    cudnnHandle_t h, const cudnnTensorDescriptor_t a, const void* b,
    const cudnnFilterDescriptor_t c, const void* d, const cudnnConvolutionDescriptor_t e,
    const cudnnTensorDescriptor_t f, void* g, const int n, int* k, cudnnConvolutionFwdAlgoPerf_t* r,
    void* w, size_t s) {
    fc_find++;
    memset(r, 0, sizeof *r);
    r->algo = 1;
    *k = 1;
    return 0;
}
cudnnStatus_t cudnnFindConvolutionBackwardDataAlgorithmEx(
    cudnnHandle_t h, const cudnnFilterDescriptor_t a, const void* b,
    const cudnnTensorDescriptor_t c, const void* d, const cudnnConvolutionDescriptor_t e,
    const cudnnTensorDescriptor_t f, void* g, const int n, int* k,
    cudnnConvolutionBwdDataAlgoPerf_t* r, void* w, size_t s) {
    fc_find++;
    memset(r, 0, sizeof *r);
    r->algo = 1;
    *k = 1;
    return 0;
}
cudnnStatus_t cudnnFindConvolutionBackwardFilterAlgorithmEx(
    cudnnHandle_t h, const cudnnTensorDescriptor_t a, const void* b,
    const cudnnTensorDescriptor_t c, const void* d, const cudnnConvolutionDescriptor_t e,
    const cudnnFilterDescriptor_t f, void* g, const int n, int* k,
    cudnnConvolutionBwdFilterAlgoPerf_t* r, void* w, size_t s) {
    fc_find++;
    memset(r, 0, sizeof *r);
    r->algo = 1;
    *k = 1;
    return 0;
}
cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(cudnnHandle_t h,
                                                     const cudnnTensorDescriptor_t a,
                                                     const cudnnFilterDescriptor_t c,
                                                     const cudnnConvolutionDescriptor_t e,
                                                     const cudnnTensorDescriptor_t f, const int n,
                                                     int* k, cudnnConvolutionFwdAlgoPerf_t* r) {
    memset(r, 0, sizeof *r);
    r->algo = 1;
    *k = 1;
    return 0;
}
cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(
    cudnnHandle_t h, const cudnnFilterDescriptor_t a, const cudnnTensorDescriptor_t c,
    const cudnnConvolutionDescriptor_t e, const cudnnTensorDescriptor_t f, const int n, int* k,
    cudnnConvolutionBwdDataAlgoPerf_t* r) {
    memset(r, 0, sizeof *r);
    r->algo = 1;
    *k = 1;
    return 0;
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(
    cudnnHandle_t h, const cudnnTensorDescriptor_t a, const cudnnTensorDescriptor_t c,
    const cudnnConvolutionDescriptor_t e, const cudnnFilterDescriptor_t f, const int n, int* k,
    cudnnConvolutionBwdFilterAlgoPerf_t* r) {
    memset(r, 0, sizeof *r);
    r->algo = 1;
    *k = 1;
    return 0;
}
cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(cudnnHandle_t h,
                                                      const cudnnTensorDescriptor_t a,
                                                      const cudnnFilterDescriptor_t b,
                                                      const cudnnConvolutionDescriptor_t c,
                                                      const cudnnTensorDescriptor_t d,
                                                      cudnnConvolutionFwdAlgo_t e, size_t* s) {
    *s = 0;
    return 0;
}
cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(
    cudnnHandle_t h, const cudnnFilterDescriptor_t a, const cudnnTensorDescriptor_t b,
    const cudnnConvolutionDescriptor_t c, const cudnnTensorDescriptor_t d,
    cudnnConvolutionBwdDataAlgo_t e, size_t* s) {
    *s = 0;
    return 0;
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(
    cudnnHandle_t h, const cudnnTensorDescriptor_t a, const cudnnTensorDescriptor_t b,
    const cudnnConvolutionDescriptor_t c, const cudnnFilterDescriptor_t d,
    cudnnConvolutionBwdFilterAlgo_t e, size_t* s) {
    *s = 0;
    return 0;
}
cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t h, const void* al,
                                      const cudnnTensorDescriptor_t a, const void* b,
                                      const cudnnFilterDescriptor_t c, const void* d,
                                      const cudnnConvolutionDescriptor_t e,
                                      cudnnConvolutionFwdAlgo_t f, void* w, size_t n,
                                      const void* be, const cudnnTensorDescriptor_t g, void* i) {
    fc_conv++;
    return 0;
}
cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t h, const void* al,
                                           const cudnnFilterDescriptor_t a, const void* b,
                                           const cudnnTensorDescriptor_t c, const void* d,
                                           const cudnnConvolutionDescriptor_t e,
                                           cudnnConvolutionBwdDataAlgo_t f, void* w, size_t n,
                                           const void* be, const cudnnTensorDescriptor_t g,
                                           void* i) {
    fc_conv++;
    return 0;
}
cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t h, const void* al,
                                             const cudnnTensorDescriptor_t a, const void* b,
                                             const cudnnTensorDescriptor_t c, const void* d,
                                             const cudnnConvolutionDescriptor_t e,
                                             cudnnConvolutionBwdFilterAlgo_t f, void* w, size_t n,
                                             const void* be, const cudnnFilterDescriptor_t g,
                                             void* i) {
    fc_conv++;
    return 0;
}
atomic_long fc_dummy;
cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t t,
                                           cudnnBackendDescriptor_t* d) {
    long* p = malloc(16);
    p[0] = t;
    *d = (void*)p;
    return 0;
}
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t d) {
    free(d);
    return 0;
}
cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t d) { return 0; }
cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t n,
                                       cudnnBackendAttributeType_t t, int64_t k, const void* a) {
    return 0;
}
cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const d,
                                       cudnnBackendAttributeName_t n, cudnnBackendAttributeType_t t,
                                       int64_t req, int64_t* count, void* a) {
    int64_t k = 1;
    if (t == CUDNN_TYPE_BACKEND_DESCRIPTOR)
        k = (n == CUDNN_ATTR_ENGINEHEUR_RESULTS || n == CUDNN_ATTR_ENGINECFG_ENGINE ||
             n == CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG)
                ? 1
                : 0;
    else if (t == CUDNN_TYPE_NUMERICAL_NOTE || t == CUDNN_TYPE_BEHAVIOR_NOTE)
        k = 0;
    else if (a && req > 0)
        memset(a, 0, t == CUDNN_TYPE_INT64 ? 8 : 4);
    if (count) *count = k;
    return 0;
}
cudnnStatus_t cudnnBackendExecute(cudnnHandle_t h, cudnnBackendDescriptor_t p,
                                  cudnnBackendDescriptor_t v) {
    fc_conv++;
    return 0;
}
