# What runs under launchers; included by tests/CMakeLists.txt.

# All bodies that make sense across nodes, in one program for launchers (support/spmd.h).
get_property(bodies GLOBAL PROPERTY serry_bodies)
add_executable(mpi_all_patterns mpi/all_patterns.cc ${bodies})
target_link_libraries(mpi_all_patterns PRIVATE serry_support serry_testing)
target_precompile_headers(mpi_all_patterns REUSE_FROM serry_support)
set_target_properties(mpi_all_patterns PROPERTIES OUTPUT_NAME all_patterns
                      RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/mpi)
add_dependencies(mpi_all_patterns ${programs} serry_cmd_testing)

# serry_launched(<label> <launcher> <nodes> <ranks> [<argument>...]): all of them, by mpi/run.
function(serry_launched label launcher nodes ranks)
    set(name ${label}.${launcher}.${nodes}_${ranks})
    math(EXPR seconds "240 * ${SERRY_TEST_PATIENCE}")
    math(EXPR timeout "2 * ${seconds} + 30")
    add_test(NAME ${name} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/mpi/run ${launcher} ${nodes} ${ranks}
             ${seconds} $<TARGET_FILE:mpi_all_patterns> ${ARGN})
    set_tests_properties(${name} PROPERTIES LABELS ${label} PROCESSORS 3 TIMEOUT ${timeout}
                         COST ${timeout} SKIP_RETURN_CODE 77
                         ENVIRONMENT "SERRY_COMMAND=${PROJECT_BINARY_DIR}/tests/bin/serry")
    if(label STREQUAL "hosts")
        set_tests_properties(${name} PROPERTIES RUN_SERIAL ON)
    endif()
endfunction()
# One is run always; the rest (label mpi-more), a minute or more each, by `scripts/test --all`.
serry_launched(mpi openmpi rank 4)
serry_launched(mpi-more serry one 4)
serry_launched(mpi-more direct rank 4)
foreach(mpi openmpi mpich)
    if(TARGET serry_mpi_${mpi})
        add_dependencies(mpi_all_patterns serry_mpi_${mpi})
    endif()
    if(NOT mpi STREQUAL "openmpi")
        serry_launched(mpi-more ${mpi} rank 4)
    endif()
    serry_launched(mpi-more ${mpi} one 4)
    serry_launched(mpi-more ${mpi} agents 4)
    # What wants another number of ranks.
    serry_launched(mpi-more ${mpi} one 1 --not-in=4)
    serry_launched(mpi-more ${mpi} rank 2 --not-in=4)
    serry_launched(mpi-more ${mpi} rank 3 --not-in=4)
endforeach()
serry_launched(hosts hosts-openmpi one 4)
serry_launched(hosts hosts-mpich one 4)
serry_launched(hosts slurm-pmix one 4)
serry_launched(hosts slurm-pmi2 one 4)
serry_launched(hosts slurm-batch one 4 --only=Queue.)
# A host is cut off, without a launcher and under one.
foreach(way "direct" "direct two abort" "openmpi two" "openmpi one" "openmpi two abort" "openmpi-rank two")
    string(REPLACE " " "_" name ${way})
    separate_arguments(words UNIX_COMMAND ${way})
    add_test(NAME hosts.lost.${name} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/mpi/host_lost
                                             $<TARGET_FILE:program_host_lost> ${words})
    set_tests_properties(hosts.lost.${name} PROPERTIES LABELS hosts PROCESSORS 2 RUN_SERIAL ON TIMEOUT 180
                         SKIP_RETURN_CODE 77 ENVIRONMENT "SERRY_TEST_PATIENCE=${SERRY_TEST_PATIENCE}")
endforeach()

# serry_launched_programs(<label> <launcher> <nodes> <suite>...): what is written for users (tutorials,
# science), as four ranks: the same results as everywhere.
function(serry_launched_programs label launcher nodes)
    foreach(suite IN LISTS ARGN)
        string(REGEX REPLACE "=.*" "" stem ${suite})
        set(filter "Tutorial.*:Science.W*:Science.M*")
        if(suite MATCHES "=(.*)")
            set(filter ${CMAKE_MATCH_1})
        endif()
        math(EXPR seconds "60 * ${SERRY_TEST_PATIENCE}")
        math(EXPR timeout "300 * ${SERRY_TEST_PATIENCE}")
        set(name ${label}.${stem}.${launcher}.${nodes}_4)
        set(launch "${CMAKE_CURRENT_SOURCE_DIR}/mpi/run ${launcher} ${nodes} 4 ${seconds}")
        add_test(NAME ${name} COMMAND patterns_${stem} --gtest_filter=${filter})
        set_tests_properties(${name} PROPERTIES LABELS ${label} PROCESSORS 3 TIMEOUT ${timeout}
                             COST ${timeout} RESOURCE_LOCK launchers
                             ENVIRONMENT "SERRY_TEST_LAUNCH=${launch};SERRY_COMMAND=${PROJECT_BINARY_DIR}/tests/bin/serry")
    endforeach()
endfunction()
serry_launched_programs(mpi-more serry one tutorials science)
foreach(mpi openmpi mpich)
    if(TARGET serry_mpi_${mpi})
        # Some always: processes, an object, a pool.
        serry_launched_programs(mpi ${mpi} rank "tutorials=*.clock/*:*.tickets/*:*.pool_results/*")
        serry_launched_programs(mpi-more ${mpi} one tutorials science)
        serry_launched_programs(mpi-more ${mpi} rank tutorials science)
    endif()
endforeach()

# The far transport by itself, without a world: what has no agent cannot say that it is there.
add_executable(mpi_transport mpi/transport.cc)
target_compile_definitions(mpi_transport PRIVATE _GNU_SOURCE "SERRY_TEST_CASES=")
target_link_libraries(mpi_transport PRIVATE serry_support serry_testing)
target_precompile_headers(mpi_transport REUSE_FROM serry_support)
set_target_properties(mpi_transport PROPERTIES OUTPUT_NAME transport
                      RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/mpi)
foreach(mpi openmpi mpich)
    if(TARGET serry_mpi_${mpi})
        add_dependencies(mpi_transport serry_mpi_${mpi})
        foreach(ranks 2 3 4)
            set(name mpi.transport.${mpi}_${ranks})
            add_test(NAME ${name} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/mpi/run ${mpi} one ${ranks} 100
                     $<TARGET_FILE:mpi_transport> ${mpi} --gtest_filter=-*SaysWhoItIs)
            set(label mpi-more)
            if(ranks EQUAL 3)
                set(label mpi)
            endif()
            set_tests_properties(${name} PROPERTIES LABELS ${label} PROCESSORS 2 TIMEOUT 120
                                 COST 120 RESOURCE_LOCK launchers SKIP_RETURN_CODE 77)
        endforeach()
    endif()
endforeach()

# Worlds as launchers make them, and programs with an MPI of their own, linked as its wrapper does.
serry_test(mpi mpi/world.cc)
foreach(mpi openmpi mpich)
    string(TOUPPER ${mpi} upper)
    if(TARGET serry_mpi_${mpi})
        add_dependencies(mpi_world serry_mpi_${mpi})
    endif()
    if(TARGET serry_mpi_${mpi} AND SERRY_MPICC_${upper} AND NOT "${CMAKE_C_FLAGS_DEBUG}" MATCHES
       "sanitize")
        set(program ${PROJECT_BINARY_DIR}/tests/bin/attach_${mpi})
        add_custom_command(
            OUTPUT ${program}
            COMMAND ${SERRY_MPICC_${upper}} -std=c11 -O1 -Wall -Wextra -Wno-stringop-overflow
                    -I${PROJECT_SOURCE_DIR}/lib/include ${CMAKE_CURRENT_SOURCE_DIR}/mpi/attach.c
                    -o ${program} $<TARGET_FILE:serry> -Wl,-rpath,$<TARGET_FILE_DIR:serry>
            DEPENDS mpi/attach.c serry COMMENT "Building attach_${mpi}" VERBATIM)
        add_custom_target(program_attach_${mpi} DEPENDS ${program})
        add_dependencies(mpi_world program_attach_${mpi})
    endif()
endforeach()
