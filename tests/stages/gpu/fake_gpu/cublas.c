/* cuBLAS: handles and heuristics; products are counted by the generated rest (build.py). */
#include <stdlib.h>
#include <string.h>
#include "counters.h"
#include <cublas_v2.h>
#include <cublasLt.h>
#undef cublasCreate
cublasStatus_t cublasCreate_v2(cublasHandle_t* h) {
    *h = (void*)0x77;
    return 0;
}
cublasStatus_t cublasDestroy_v2(cublasHandle_t h) { return 0; }
cublasStatus_t cublasGetMathMode(cublasHandle_t h, cublasMath_t* m) {
    *m = 0;
    return 0;
}
cublasStatus_t cublasGetPointerMode_v2(cublasHandle_t h, cublasPointerMode_t* m) {
    *m = 0;
    return 0;
}
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t h, cublasLtMatmulDesc_t o,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t p, int n,
                                              cublasLtMatmulHeuristicResult_t* r, int* k) {
    memset(r, 0, sizeof *r);
    *k = 1;
    return 0;
}
cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* d, cublasComputeType_t c,
                                        cudaDataType_t s) {
    *d = (void*)0x70;
    return 0;
}
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* d) {
    *d = (void*)0x71;
    return 0;
}
cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* d, cudaDataType t, uint64_t r,
                                          uint64_t c, int64_t l) {
    *d = (void*)0x72;
    return 0;
}
