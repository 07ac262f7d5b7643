{
  # sanitize=1 (scripts/build.mjs --asan): with the address and UB sanitizers.
  # faults=1 (--faults): with the places in which tests let a worker die (native/fault.h).
  # unsafe=1 (--unsafe): without what only deaths need, to be measured against.
  'variables': { 'sanitize%': 0, 'faults%': 0, 'unsafe%': 0 },
  'targets': [{
    'target_name': 'baton',
    'sources': ['<!@(ls native/*.cc)'],
    'include_dirs': ['<!@(node -p "require(\'node-addon-api\').include_dir")', 'native'],
    'defines': ['NAPI_VERSION=8', 'NODE_ADDON_API_DISABLE_DEPRECATED',
                'NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS'],
    'cflags': ['-Wall', '-Wextra', '-Wno-unused-parameter', '-fno-strict-aliasing', '-fvisibility=hidden'],
    'cflags!': ['-O2'],
    'cflags_cc': ['-std=c++20', '-O3', '-fno-exceptions', '-fno-rtti'],
    'cflags_cc!': ['-std=gnu++17', '-std=gnu++20', '-O2'],
    'conditions': [['unsafe==1', { 'defines': ['BATON_UNSAFE'] }], ['faults==1', { 'defines': ['BATON_FAULTS'] }], ['sanitize==0 and faults==0', {
      # The lane's concerns are files of their own; what they share is small and wants to be inlined.
      'cflags_cc': ['-flto=auto'],
      'ldflags': ['-flto=auto', '-O3'],
    }], ['sanitize==1', {
      'cflags_cc': ['-O1', '-g', '-fno-omit-frame-pointer', '-fsanitize=address,undefined',
                    '-fno-sanitize-recover=all'],
      'cflags_cc!': ['-O3'],
      'ldflags': ['-fsanitize=address,undefined'],
    }]],
  }],
}
