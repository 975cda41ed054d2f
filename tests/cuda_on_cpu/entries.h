// How module.py calls the kernels of a source: CUDA's convention, one pointer to each argument.
#pragma once

namespace cuda_on_cpu {

template <class T> struct NoConst { typedef T type; };
template <class T> struct NoConst<const T> { typedef T type; };

// NumPy's letter for the kind of an element, and its size: "f4", "u8", "b1".
template <class T> constexpr char kind() { return T(0.5) != T(0) ? 'f' : T(-1) < T(0) ? 'i' : 'u'; }
template <> constexpr char kind<bool>() { return 'b'; }

// "f4" for a float, "*f4" for float*, "=f4" for const float*; float4* counts as float*.
template <class T> struct Code {
    static char* write(char* out) {
        typedef typename Element<typename NoConst<T>::type>::type Plain;
        *out++ = kind<Plain>();
        *out++ = '0' + sizeof(Plain);
        return out;
    }
};
template <class T> struct Code<T*> {
    static char* write(char* out) { *out++ = '*'; return Code<T>::write(out); }
};
template <class T> struct Code<const T*> {
    static char* write(char* out) { *out++ = '='; return Code<T>::write(out); }
};
template <class T> struct Code<T* const> : Code<T*> {};

template <class... P> const char* signature(void (*)(P...)) {
    static char text[4 * sizeof...(P) + 1];
    char* out = text;
    ((out = Code<P>::write(out), *out++ = ' '), ...);
    *out = 0;
    return text;
}

template <unsigned... I> struct Indices {};
template <unsigned N, unsigned... I> struct UpTo : UpTo<N - 1, N - 1, I...> {};
template <unsigned... I> struct UpTo<0, I...> { typedef Indices<I...> type; };

template <class... P> struct Call {
    void (*kernel)(P...);
    void** arguments;
    template <unsigned... I> void once(Indices<I...>) { kernel(*(typename NoConst<P>::type*)arguments[I]...); }
    static void body(void* call) { ((Call*)call)->once(typename UpTo<sizeof...(P)>::type()); }
};
template <class... P> int launch(void (*kernel)(P...), const Launch* launch, void** arguments, Fault* fault) {
    Call<P...> call{kernel, arguments};
    return run(*launch, Call<P...>::body, &call, fault);
}

}  // namespace cuda_on_cpu

// MAX_THREADS of a block, from __launch_bounds__.
#define CUDA_ON_CPU_EXPORT(KERNEL, MAX_THREADS)                                                              \
    extern "C" __attribute__((visibility("default"))) int cuda_on_cpu_max_threads_##KERNEL() {               \
        return MAX_THREADS;                                                                                  \
    }                                                                                                        \
    extern "C" __attribute__((visibility("default"))) const char* cuda_on_cpu_signature_##KERNEL() {         \
        return cuda_on_cpu::signature(KERNEL);                                                               \
    }                                                                                                        \
    extern "C" __attribute__((visibility("default"))) int cuda_on_cpu_launch_##KERNEL(                       \
        const cuda_on_cpu::Launch* launch, void** arguments, cuda_on_cpu::Fault* fault) {                    \
        return cuda_on_cpu::launch(KERNEL, launch, arguments, fault);                                        \
    }
